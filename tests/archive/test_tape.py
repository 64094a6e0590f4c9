"""Tapes: the order of inputs over several files, what a line may lack, and what is refused."""

import base64
import gzip
import json
import random
from pathlib import Path

import pytest

from l2_exporter.archive import tapeorder
from l2_exporter.archive.tape import TapeLine
from l2_exporter.archive.tapeorder import read_tapes
from l2_exporter.core.errors import ConfigError


def write(path: Path, *lines: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def frames(*paths: Path) -> list[str | bytes]:
    return [line.frame for line in read_tapes(paths)]


def test_inputs_come_by_number_over_all_files(tmp_path: Path) -> None:
    one = write(tmp_path / "1.jsonl", *({"n": n, "dir": "in", "frame": f"{n}"} for n in (5, 1, 3)))
    two = write(tmp_path / "2.jsonl", *({"n": n, "dir": "in", "frame": f"{n}"} for n in (4, 2, 6)))
    assert frames(one, two) == ["1", "2", "3", "4", "5", "6"]


def test_number_goes_before_receive_time(tmp_path: Path) -> None:
    path = write(
        tmp_path / "1.jsonl",
        {"n": 2, "recv_ns": 10, "dir": "in", "frame": "second"},
        {"n": 1, "recv_ns": 20, "dir": "in", "frame": "first"},
    )
    assert frames(path) == ["first", "second"]


def test_without_numbers_by_receive_time_and_without_that_in_file_order(tmp_path: Path) -> None:
    one = write(
        tmp_path / "1.jsonl",
        {"recv_ns": 10, "dir": "in", "frame": "a"},
        {"recv_ns": None, "dir": "in", "frame": "b"},
        {"recv_ns": 30, "dir": "in", "frame": "d"},
    )
    two = write(tmp_path / "2.jsonl", {"recv_ns": 20, "dir": "in", "frame": "c"})
    assert frames(one, two) == ["a", "b", "c", "d"]
    untimed = write(tmp_path / "3.jsonl", *({"dir": "in", "frame": f"{n}"} for n in (3, 1, 2)))
    assert frames(untimed) == ["3", "1", "2"]


def test_runs_follow_each_other_however_their_numbers_overlap(tmp_path: Path) -> None:
    def run(name: str, start_ns: int) -> list[dict[str, object]]:
        start = {"n": 1, "recv_ns": start_ns, "dir": "start", "frame": json.dumps({"run": name})}
        return [start, *({"n": n, "recv_ns": start_ns + n, "dir": "in", "frame": f"{name}{n}"} for n in (2, 3))]

    late, early = write(tmp_path / "1.jsonl", *run("late", 5000)), write(tmp_path / "2.jsonl", *run("early", 100))
    lines = [line for line in read_tapes([late, early]) if line.dir == "in"]
    assert [(line.frame, line.run) for line in lines] == [
        ("early2", "early"),
        ("early3", "early"),
        ("late2", "late"),
        ("late3", "late"),
    ]


def test_unknown_keys_are_ignored_and_missing_ones_have_defaults(tmp_path: Path) -> None:
    path = write(tmp_path / "1.jsonl", {"dir": "http", "reser": True, "frame": "{}", "url": None})
    assert list(read_tapes([path])) == [
        TapeLine("http", "tape", None, None, None, None, "{}", None, 200),
    ]


def test_binary_frames(tmp_path: Path) -> None:
    b64 = base64.b64encode(b"\xff\x00").decode()
    path = write(tmp_path / "1.jsonl", {"dir": "in", "b64": b64}, {"dir": "in", "b64": b64, "frame": "inflated"})
    assert frames(path) == [b"\xff\x00", "inflated"]


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
def test_compressed_tapes_are_read_alike(tmp_path: Path, ending: str) -> None:
    import zstandard

    text = b"".join(b'{"dir":"in","frame":"%d"}\n' % n for n in range(50_000))
    pack = {".jsonl": bytes, ".jsonl.gz": gzip.compress, ".jsonl.zst": zstandard.compress}[ending]
    path = tmp_path / f"t{ending}"
    path.write_bytes(pack(text))
    assert frames(path) == [str(n) for n in range(50_000)]


def test_half_a_line_at_the_end_is_no_input(tmp_path: Path) -> None:
    path = tmp_path / "1.jsonl"
    path.write_text('{"dir":"in","frame":"whole"}\n{"dir":"in","fra')
    assert frames(path) == ["whole"]


@pytest.mark.parametrize(
    "bad",
    [
        *("nonsense", "[]", '{"frame":"x"}', '{"dir":"in","n":"1"}', '{"dir":"in","frame":5}'),
        *('{"dir":"in","b64":"%"}', '{"dir":"http","status":"ok"}', '{"dir":"in","recv_ns":1.5}'),
        *('{"dir":"in","n":true}', '{"dir":"in","n":-1}', '{"dir":"in","recv_ns":-5}', '{"dir":"http","status":1.5}'),
        '{"dir":"in","recv_ns":999999999999999999999}',
    ],
)
def test_what_is_no_tape_line_is_named_with_its_place(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "1.jsonl"
    path.write_text('{"dir":"in","frame":"good"}\n' + bad + "\n")
    with pytest.raises(ConfigError, match=r"1\.jsonl:2 is not a line of a tape"):
        frames(path)


def test_tape_out_of_order_is_sorted_unless_it_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[dict[str, object]] = [{"n": n, "dir": "in", "frame": f"{n}"} for n in range(50)]
    ordered = write(tmp_path / "1.jsonl", *lines)
    random.Random(1).shuffle(lines)
    shuffled = write(tmp_path / "2.jsonl", *lines)
    assert frames(shuffled) == [f"{n}" for n in range(50)]
    monkeypatch.setattr(tapeorder, "SORTED_IN_MEMORY_BYTES", 100)
    assert frames(ordered) == [f"{n}" for n in range(50)]
    with pytest.raises(ConfigError, match="out of order and too large"):
        frames(shuffled)


def started(run: str | None, recv_ns: int | None, n: int | None = None) -> dict[str, object]:
    frame = json.dumps({} if run is None else {"run": run})
    return {"n": n, "recv_ns": recv_ns, "dir": "start", "frame": frame}


def numbered(*numbers: int, name: str = "") -> list[dict[str, object]]:
    return [{"n": n, "recv_ns": 1000 + n, "dir": "in", "frame": f"{name}{n}"} for n in numbers]


def inputs(*paths: Path) -> list[str | bytes]:
    return [line.frame for line in read_tapes(paths) if line.dir == "in"]


def test_tape_that_was_cut_goes_on_with_its_run(tmp_path: Path) -> None:
    one = write(tmp_path / "1.jsonl", started("r", 1000, 0), *numbered(1, 2, 3))
    two = write(tmp_path / "2.jsonl", *numbered(4, 5, 6))
    assert inputs(one, two) == inputs(two, one) == ["1", "2", "3", "4", "5", "6"]
    assert {line.run for line in read_tapes([two, one])} == {"r"}


def test_tapes_of_one_run_interleave_whatever_their_starts_say_of_time(tmp_path: Path) -> None:
    one = write(tmp_path / "1.jsonl", started("r", 1000, 0), *numbered(1, 3, 5))
    two = write(tmp_path / "2.jsonl", started("r", 1005, 0), *numbered(2, 4, 6))
    assert inputs(one, two) == ["1", "2", "3", "4", "5", "6"]


def test_starts_without_name_and_time_are_runs_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = write(
        tmp_path / "1.jsonl",
        started(None, None),
        *numbered(1, 2, name="a"),
        started(None, None),
        *numbered(1, name="b"),
    )
    lines = [line for line in read_tapes([path]) if line.dir == "in"]
    assert [line.frame for line in lines] == ["a1", "a2", "b1"]
    assert lines[0].run == lines[1].run != lines[2].run


def test_line_without_number_among_numbered_ones_stays_where_it_is(tmp_path: Path) -> None:
    plain: dict[str, object] = {"recv_ns": 10**18, "dir": "in", "frame": "plain"}
    path = write(tmp_path / "1.jsonl", *numbered(1, 2), plain, *numbered(3, 4))
    assert inputs(path) == ["1", "2", "plain", "3", "4"]


def test_lines_before_any_start_belong_to_the_run_of_their_time(tmp_path: Path) -> None:
    runs = write(
        tmp_path / "1.jsonl",
        started("a", 1000, 0),
        *numbered(1, name="a"),
        started("b", 2000, 0),
        *numbered(1, name="b"),
    )
    late: dict[str, object] = {"n": 2, "recv_ns": 2500, "dir": "in", "frame": "b2"}
    early: dict[str, object] = {"n": 1, "recv_ns": 500, "dir": "in", "frame": "before"}
    rest = write(tmp_path / "2.jsonl", late)
    first = write(tmp_path / "3.jsonl", early)
    assert inputs(runs, rest, first) == ["before", "a1", "b1", "b2"]


@pytest.mark.parametrize("ending", [".jsonl.gz", ".jsonl.zst"])
def test_damaged_tape_is_refused_before_anything_is_fed(tmp_path: Path, ending: str) -> None:
    import zstandard

    pack = {".jsonl.gz": gzip.compress, ".jsonl.zst": zstandard.compress}[ending]
    path = tmp_path / f"t{ending}"
    path.write_bytes(pack(b'{"dir":"in","frame":"x"}\n' * 1000)[:-10])
    with pytest.raises(ConfigError, match="nothing has been replayed"):
        next(read_tapes([path]))


def test_progress_tells_every_byte(tmp_path: Path) -> None:
    path = write(tmp_path / "1.jsonl", *({"dir": "in", "frame": "x" * n} for n in range(20)))
    told: list[int] = []
    list(read_tapes([path], told.append))
    assert sum(told) == path.stat().st_size
