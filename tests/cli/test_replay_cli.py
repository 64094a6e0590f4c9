"""The command `replay` as its user meets it: what it refuses and how, what it prints, exit codes."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from l2_exporter.archive.disk import Disk
from l2_exporter.archive.layout import Vault
from l2_exporter.archive.lock import VenueLock
from l2_exporter.cli.main import COMMANDS, cli
from tests.okx_frames import INST, MS, T0, snapshot, update

URL = "wss://ws.okx.com:8443/ws/v5/public"


def tape(folder: Path, *frames: str, url: str | None = URL) -> Path:
    """Write a tape of frames 100 ms apart."""
    path = folder / "tape.jsonl"
    lines = [
        {"recv_ns": (T0 + 100 * number) * MS, "conn": "c", "dir": "in", "url": url, "frame": frame}
        for number, frame in enumerate(frames)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def run(*args: object) -> Result:
    return CliRunner().invoke(cli, ["replay", *map(str, args)])


def lines_of(vault: Path) -> dict[str, list[dict[str, object]]]:
    return {
        str(path.relative_to(vault)): [json.loads(line) for line in path.read_bytes().splitlines()]
        for path in sorted(vault.rglob("raw/**/*.jsonl"))
    }


def test_summary_and_files(tmp_path: Path) -> None:
    path = tape(tmp_path, snapshot(T0, 1), update(T0 + 100, 2, 1), update(T0 + 200, 4, 3))
    result = run(path, "--vault", tmp_path / "v")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"vault: {tmp_path / 'v'}",
        "venue: okx, 1 run(s), 3 inputs, 1 lines written",
        "losses: 1 sequence",
        "  l2_perps BTC-USDT-SWAP: 1 lines; 3 messages, 2 applied, 0 repeated, 1 before a book, 0 rejected; "
        "checksums 0 ok, 0 wrong, 2 not sent",
    ]
    lines = lines_of(tmp_path / "v")
    assert [(name, [line["gap_detected"] for line in found]) for name, found in lines.items()] == [
        ("raw/okx/l2_perps/BTC-USDT-SWAP/2023-11-14/22.jsonl", [True])
    ]


def test_json_goes_to_stdout_and_the_path_to_stderr(tmp_path: Path) -> None:
    result = run(tape(tmp_path, snapshot(T0, 1)), "--vault", tmp_path / "v", "--json")
    report = json.loads(result.stdout)
    assert result.stderr.splitlines() == [f"vault: {tmp_path / 'v'}"]
    assert (report["lines"], report["books"][0]["inst"], report["books"][0]["messages"]["applied"]) == (1, INST, 1)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["{tape}"], "replay needs --vault"),
        (["--vault", "v"], "Missing argument 'TAPE...'"),
        (["{tape}", "--vault", "v", "--venue", "nowhere"], "no venue is called 'nowhere'; there are: okx"),
        (["{tape}", "--vault", "v", "--cadence", "0.0001"], "must be whole milliseconds"),
        (["{tape}", "--vault", "v", "--cadence", "0.001"], "between 0.01 and 3600 seconds"),
        (["{tape}", "--vault", "v", "--cadence", "4000"], "between 0.01 and 3600 seconds"),
        (["{tape}", "--vault", "v", "--depth", "0"], "Invalid value for '--depth'"),
        (["{tape}", "--vault", "v", "-i", "nowhere:X"], "no venue is called 'nowhere'"),
        (["{tape}", "--vault", "v", "-i", "okx:"], "names no instrument"),
        (["{tape}", "--vault", "v", "--frobnicate"], "No such option"),
        (["{tape}.missing", "--vault", "v"], "is not a file"),
        (["{folder}", "--vault", "v"], "is not a file"),
        (["{folder}/notes.txt", "--vault", "v"], "not named like a tape"),
        (["{tape}", "--vault", "{folder}/notes.txt"], "is a file"),
    ],
)
def test_wrong_use_is_one_clear_line_and_exit_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("no tape")
    path = tape(tmp_path, snapshot(T0, 1))
    result = run(*(arg.format(tape=path, folder=tmp_path) for arg in args))
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("text", "says"), [("", "the tapes hold no input"), ("nonsense\n", "tape.jsonl:1 is not a line")]
)
def test_file_that_is_no_tape(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "tape.jsonl"
    path.write_text(text)
    result = run(path, "--vault", tmp_path / "v")
    assert (result.exit_code, says in result.stderr) == (2, True)


def test_venue_that_nothing_tells_must_be_named(tmp_path: Path) -> None:
    path = tape(tmp_path, snapshot(T0, 1), url="wss://real.okcoin.com:8443/ws/v5/public")
    result = run(path, "--vault", tmp_path / "v")
    assert (result.exit_code, "name it, such as --venue okx" in result.stderr) == (2, True)
    assert not (tmp_path / "v").exists()
    assert run(path, "--vault", tmp_path / "v", "--venue", "okx").exit_code == 0


def test_damaged_tape_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tape.jsonl.gz"
    path.write_bytes(b"no gzip at all")
    result = run(path, "--vault", tmp_path / "v")
    assert (result.exit_code, "tape.jsonl.gz is damaged" in result.stderr) == (2, True)


def test_schema_break_is_exit_3_with_its_line_and_the_frame_kept(tmp_path: Path) -> None:
    bad = snapshot(T0, 1).replace('"ts":', '"time":')
    result = run(tape(tmp_path, bad, snapshot(T0 + 100, 1)), "--vault", tmp_path / "v")
    assert result.exit_code == 3
    assert result.stderr.splitlines()[-1] == "BUILD_FAIL venue=okx channel=books missing=[ts]"
    kept = [json.loads(path.read_bytes()) for path in (tmp_path / "v/meta/okx/rejected").iterdir()]
    assert len(kept) == 1
    assert "missing or wrong: ts" in kept[0]["reason"]


def test_vault_in_use_is_exit_4(tmp_path: Path) -> None:
    with VenueLock(Vault(tmp_path / "v").lock_file("okx")):
        result = run(tape(tmp_path, snapshot(T0, 1)), "--vault", tmp_path / "v")
    assert (result.exit_code, "another recorder" in result.stderr) == (4, True)
    assert lines_of(tmp_path / "v") == {}


def test_full_disk_is_exit_5(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Disk, "append", full)
    result = run(tape(tmp_path, snapshot(T0, 1)), "--vault", tmp_path / "v")
    assert (result.exit_code, "No space left on device" in result.stderr) == (5, True)
    assert "Traceback" not in result.output


def test_inputs_after_a_stop_are_a_run_of_their_own(tmp_path: Path) -> None:
    path = tape(tmp_path, snapshot(T0, 1), "", snapshot(T0 + 60_000, 9))
    lines = path.read_text().splitlines()
    lines[1] = json.dumps({"recv_ns": (T0 + 100) * MS, "dir": "stop"})
    path.write_text("\n".join(lines) + "\n")
    result = run(path, "--vault", tmp_path / "v", "--json")
    assert (result.exit_code, json.loads(result.stdout)["runs"]) == (0, 2)
    (found,) = lines_of(tmp_path / "v").values()
    assert [line["seqId"] for line in found] == [1, 9]


def test_what_was_sent_after_a_stop_begins_no_run(tmp_path: Path) -> None:
    path = tape(tmp_path, snapshot(T0, 1))
    late = [{"recv_ns": (T0 + 100) * MS, "dir": "stop"}, {"recv_ns": (T0 + 200) * MS, "dir": "out", "frame": "ping"}]
    path.write_text(path.read_text() + "".join(json.dumps(line) + "\n" for line in late))
    result = run(path, "--vault", tmp_path / "v", "--json")
    assert (result.exit_code, json.loads(result.stdout)["runs"]) == (0, 1)


@pytest.mark.parametrize("wrong", [{"cadence_ms": 0}, {"depth": 0}, {"depth": True}, {"cadence_ms": "2"}])
def test_settings_on_a_tape_that_cannot_be(tmp_path: Path, wrong: dict[str, object]) -> None:
    path = tape(tmp_path, snapshot(T0, 1))
    start = {"recv_ns": T0 * MS, "dir": "start", "frame": json.dumps({"run": "r", "venue": "okx", **wrong})}
    path.write_text(json.dumps(start) + "\n" + path.read_text())
    result = run(path, "--vault", tmp_path / "v")
    assert (result.exit_code, "the tape's start has" in result.stderr) == (2, True)


def test_ids_that_differ_in_case_only_are_refused(tmp_path: Path) -> None:
    path = tape(tmp_path, snapshot(T0, 1), snapshot(T0, 1, inst=INST.lower()))
    result = run(path, "--vault", tmp_path / "v", "-i", INST, "-i", INST.lower())
    assert result.exit_code == 0
    other = tape(tmp_path, snapshot(T0, 1, inst="ABC-USDT"), snapshot(T0, 1, inst="abc-USDT"))
    result = run(other, "--vault", tmp_path / "v")
    assert (result.exit_code, "'ABC-USDT' and 'abc-USDT'" in result.stderr) == (2, True)


def test_hostile_ids_stay_in_the_vault(tmp_path: Path) -> None:
    hostile = ["../../../etc/passwd", "..", "CON", "a/b\\c:d", "trailing.", "x" * 5000, "Ünïcode-✓"]
    path = tape(tmp_path, snapshot(T0, 1), *(snapshot(T0, 1, inst=inst) for inst in hostile))
    result = run(path, "--vault", tmp_path / "v")
    assert result.exit_code == 0
    found = lines_of(tmp_path / "v")
    assert sorted(str(lines[0]["instId"]) for lines in found.values()) == sorted({INST, *hostile} - {"x" * 5000})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tape.jsonl", "v"]


def test_instruments_asked_for_but_not_on_the_tape_are_named(tmp_path: Path) -> None:
    path = tape(tmp_path, snapshot(T0, 1), snapshot(T0, 1, inst="ETH-USDT"))
    result = run(path, "--vault", tmp_path / "v", "-i", "okx:ETH-USDT", "-i", "DOGE-USDT")
    assert result.exit_code == 0
    assert "warning: DOGE-USDT has no frame on these tapes" in result.stderr
    assert list(lines_of(tmp_path / "v")) == ["raw/okx/l2_spot/ETH-USDT/2023-11-14/22.jsonl"]


def test_tapes_own_settings_hold_unless_flags_say_otherwise(tmp_path: Path) -> None:
    path = tape(tmp_path, snapshot(T0, 1), update(T0 + 500, 2, 1), update(T0 + 1000, 3, 2))
    settings = {"run": "r", "venue": "okx", "cadence_ms": 500, "depth": 1}
    start = {"recv_ns": T0 * MS, "dir": "start", "frame": json.dumps(settings)}
    path.write_text(json.dumps(start) + "\n" + path.read_text())
    assert run(path, "--vault", tmp_path / "v").exit_code == 0
    (lines,) = lines_of(tmp_path / "v").values()
    assert [(line["seqId"], line["bids_top1"]) for line in lines] == [(n, [["100", "1", "0", "1"]]) for n in (1, 2, 3)]
    assert run(path, "--vault", tmp_path / "w", "--cadence", "2", "--depth", "2").exit_code == 0
    (lines,) = lines_of(tmp_path / "w").values()
    assert [(line["seqId"], len(line["bids_top2"])) for line in lines] == [(3, 2)]


def test_two_runs_on_one_tape_are_two_episodes_with_the_restart_declared(tmp_path: Path) -> None:
    def run_lines(name: str, at: int) -> list[dict[str, object]]:
        start = {"n": 1, "recv_ns": (T0 + at) * MS, "dir": "start", "frame": json.dumps({"run": name, "venue": "okx"})}
        frame = {"n": 2, "recv_ns": (T0 + at + 50) * MS, "dir": "in", "conn": "c", "frame": snapshot(T0 + at, 9)}
        return [start, frame, {"n": 3, "recv_ns": (T0 + at + 60) * MS, "dir": "stop"}]

    path = tmp_path / "tape.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in [*run_lines("a", 0), *run_lines("b", 60_000)]))
    result = run(path, "--vault", tmp_path / "v", "--json")
    assert (result.exit_code, json.loads(result.stdout)["runs"]) == (0, 2)
    (lines,) = lines_of(tmp_path / "v").values()
    assert [line["flags"] for line in lines] == [[], ["after_gap"]]
    ledger = [json.loads(line) for line in (tmp_path / "v/meta/okx/events/2023-11-14.jsonl").read_bytes().splitlines()]
    assert [(entry["kind"], entry["reason"]) for entry in ledger if entry["kind"] in ("gap", "live")] == [
        ("live", None),
        ("gap", "restart"),
        ("live", "restart"),
    ]


@pytest.mark.parametrize("module", ["l2_exporter", "l2_exporter.cli.main"])
def test_help_of_every_command_has_an_example(module: str) -> None:
    if module == "l2_exporter":
        done = subprocess.run([sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True)
        assert "Exit codes" in done.stdout
    for name in COMMANDS:
        result = CliRunner().invoke(cli, [name, "--help"])
        assert (result.exit_code, "l2-exporter " + name in result.output) == (0, True)


def test_bug_is_a_short_report_and_exit_70(tmp_path: Path) -> None:
    program = (
        "import l2_exporter.cli.replay as replay, l2_exporter.cli.main as main\n"
        "def broken(*args): raise RuntimeError('impossible')\n"
        "replay.replay = broken\n"
        f"main.main(['replay', {str(tape(tmp_path, snapshot(T0, 1)))!r}, '--vault', {str(tmp_path / 'v')!r}])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 70
    assert "bug: RuntimeError: impossible" in done.stderr
    assert "Traceback" not in done.stderr
