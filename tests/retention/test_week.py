"""A week of three instruments, made by a replay, and one run of the job: what is left, held against a table by hand.

Nothing of the job or the archive judges here: files are read with gzip, zstandard, hashlib and json alone.
"""

import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from l2_exporter.cli.main import cli as exporter
from l2_exporter.core.timetext import utc_ns
from retention import cli as program
from tests.archive.samples import manifest
from tests.retention.vaults import World, unpack
from tests.retention.weeks import COURSES, FIRST, HOUR, NOW, Course, as_it_stands, build, json_lines, listing
from tests.tools.replaying import ledger

INSTS = {course.inst: "l2_perps" for course in COURSES}
BTC = COURSES[0].inst

BEFORE = """\
BTC-USDT-SWAP
15 PPPPPPPPPPPPPPPPPPPPPPPP
16 PPPPPPPPPPPPPPPPPPPPPPPP
17 PPPPPPPPPPPPPPPPPPPPPPPP
18 PPPPPPPPPPPPPPPPPPPPPPPP
19 PPPPPPPPPPPPPPPPPPPPPPPP
20 PPPPPPPPPPPPPPPPPPPPPPPP
21 PPPPPPPPPPPP------------
ETH-USDT-SWAP
15 ------------------------
16 ------PPPPPPPPPPPPPPPPPP
17 PPPPPPPPPPPPPPPPPPPPPPPP
18 PPPPPPPPPPPPPPPPPPPPPPPP
19 PPPPPPPPPPPPPPPPPPPPPPPP
20 PPPPPPPPPPPPPPPPPPPPP---
21 ------------------------
SOL-USDT-SWAP
15 PPP---PPPPPPPPPPPPPPPPPP
16 PPP---PPPPPPPPPPPPPPPPPP
17 PPP---PPPPPPPPPPPPPPPPPP
18 PPP---PPPPPPPPPPPPPPPPPP
19 PPP---PPPPPPPPPPPPPPPPPP
20 PPP---PPPPPPPPPPPPPPPPPP
21 PPP---PPPPPP------------"""

# 21 November, 12:00. The hour that ended at 06:00 is six hours old; what ended on the 16th at 12:00 is five days old.
AFTER = """\
BTC-USDT-SWAP
15 ------------------------
16 ------------gggggggggggg
17 gggggggggggggggggggggggg
18 gggggggggggggggggggggggg
19 gggggggggggggggggggggggg
20 gggggggggggggggggggggggg
21 ggggggPPPPPP------------
ETH-USDT-SWAP
15 ------------------------
16 ------------gggggggggggg
17 gggggggggggggggggggggggg
18 gggggggggggggggggggggggg
19 gggggggggggggggggggggggg
20 ggggggggggggggggggggg---
21 ------------------------
SOL-USDT-SWAP
15 ------------------------
16 ------------gggggggggggg
17 ggg---gggggggggggggggggg
18 ggg---gggggggggggggggggg
19 ggg---gggggggggggggggggg
20 ggg---gggggggggggggggggg
21 ggg---PPPPPP------------"""

DELETED = {"BTC-USDT-SWAP": 36, "ETH-USDT-SWAP": 6, "SOL-USDT-SWAP": 30}
"""Hours that were there and are not: counted in the two tables."""
COMPRESSED = {"BTC-USDT-SWAP": 114, "ETH-USDT-SWAP": 105, "SOL-USDT-SWAP": 99}


@pytest.fixture(autouse=True)
def nothing_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(program.processes, "lower_priority", lambda: None)


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Every file of the vault before the job, by its path."""
    world = build(tmp_path_factory.mktemp("week"))
    assert listing(world, INSTS) == BEFORE
    seal(world)
    return world.files()


@pytest.fixture
def world(week: dict[str, bytes], tmp_path: Path) -> World:
    made = World(tmp_path / "vault")
    for name, data in week.items():
        made.put(made.root / name, data)
    return made


def seal(world: World) -> None:
    """Seal the last hour of one instrument too, as a recorder does that goes on; the replay has sealed those before."""
    *_, before, path = sorted(world.root.glob(f"raw/okx/l2_perps/{BTC}/*/*.jsonl"))
    data = path.read_bytes()
    start, end = f"{path.parent.name}T{path.stem}:00:00", f"{path.parent.name}T{int(path.stem) + 1:02d}:00:00"
    gap = [one for one in ledger(world.root) if one["kind"] == "gap" and one["instId"] == BTC][-1]
    fields = manifest(
        data,
        json_lines(data),
        inst=BTC,
        hour_utc=f"{start}Z",
        origin="replay",
        depth=5,
        previous=_sha(before.with_suffix(".manifest.json").read_bytes()),
        episodes=[{"from": f"{start}.000Z", "until": gap["since_event"]}],
        losses=[{"id": gap["id"], "reason": gap["reason"], "from": gap["since_event"], "until": None}],
        not_live_s=3600 - (utc_ns(gap["since_event"]) - utc_ns(f"{start}Z")) // 10**9,
    )
    raw = json.dumps(fields, separators=(",", ":")).encode() + b"\n"
    world.put(path.with_suffix(".manifest.json"), raw)
    told = {"dataset": "l2_perps", "hour_utc": f"{start}Z", "lines": fields["lines"], "sha256": fields["sha256"]}
    *_, day = sorted(world.root.glob("meta/okx/events/*.jsonl"))
    entry = dict.fromkeys(json.loads(day.read_bytes().splitlines()[-1]))
    entry |= {"at": f"{end}.000000Z", "kind": "sealed", "venue": "okx", "instId": BTC}
    entry["detail"] = told | {"manifest_sha256": _sha(raw)}
    world.put(day, day.read_bytes() + json.dumps(entry, separators=(",", ":")).encode() + b"\n")


def retain(world: World, *options: str) -> dict[str, Any]:
    arguments = ["run", "--vault", str(world.root), "--now", f"{NOW:%Y-%m-%dT%H:%M:%SZ}", "--json", *options]
    result = CliRunner().invoke(program.cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def verified(world: World) -> dict[str, Any]:
    """Run `l2-exporter verify`; it must find nothing wrong."""
    result = CliRunner().invoke(exporter, ["verify", "--json", str(world.root)], catch_exceptions=False)
    told: dict[str, Any] = json.loads(result.stdout)
    assert (result.exit_code, told["defects"]) == (0, [])
    return told


def inst_of(name: str) -> str:
    return name.split("/")[3]


@pytest.mark.parametrize(("codec", "sign", "jobs"), [("gzip", "g", "1"), ("zstd", "z", "3")])
def test_one_run_leaves_what_the_table_says(
    world: World, week: dict[str, bytes], codec: str, sign: str, jobs: str
) -> None:
    lines_before = verified(world)["lines"]
    told = retain(world, "--codec", codec, "--jobs", jobs)
    assert told["left"] == []
    assert listing(world, INSTS) == AFTER.replace("g", sign)
    _check_contents(world, week)
    record = world.record()
    _check_record(world, week, record)
    after = verified(world)
    gone = {one["path"].rpartition("/")[2]: (one["count"], one["lines"]) for one in after["deleted"]}
    assert gone == {
        inst: (count + _empty_gone(record, inst), _lines_gone(record, inst)) for inst, count in DELETED.items()
    }
    assert after["lines"] + sum(lines for _, lines in gone.values()) == lines_before
    stands = as_it_stands(world)
    again = retain(world, "--codec", codec, "--jobs", jobs)
    assert (again["actions"], again["left"], again["folders_removed"]) == ([], [], [])
    assert as_it_stands(world) == stands
    assert world.record() == record


def _check_contents(world: World, week: dict[str, bytes]) -> None:
    """What is left holds the bytes that were there; nothing else is in the vault but what the job writes of itself."""
    after = world.files()
    for name, data in after.items():
        if name.startswith("raw/"):
            plain = name.removesuffix(".gz").removesuffix(".zst")
            assert unpack(world.root / name) == week[plain], name
        elif name != "meta/logs/l2_retention.log":
            assert data == week[name], name
    folders = {path.name for path in world.root.glob("raw/okx/l2_perps/*/*")}
    assert folders == {f"2026-11-{day}" for day in range(16, 22)}
    sealed = {name.partition(".")[0] for name in after if name.endswith(".manifest.json")}
    hours = {name.partition(".")[0] for name in after if name.startswith("raw/") and ".jsonl" in name}
    assert {hour for hour in hours if inst_of(hour) == BTC} <= sealed  # hours without lines have one too


def _check_record(world: World, week: dict[str, bytes], record: list[dict[str, Any]]) -> None:
    """Each hour that changed has one line with its digests, and a tombstone where it is gone."""
    for action, counts in (("deleted", DELETED), ("compressed", COMPRESSED)):
        names = [line["path"] for line in record if line["action"] == action and line["stored_bytes"]]
        assert {inst: sum(inst_of(name) == inst for name in names) for inst in counts} == counts
        assert len(names) == len(set(names))
    for line in record:
        if line["stored_path"] is None:
            assert line["manifest"]["lines"] == line["lines"] == 0
            continue
        data, stored = week[line["path"]], world.root / line["stored_path"]
        assert (line["sha256"], line["bytes"], line["lines"]) == (_sha(data), len(data), data.count(b"\n"))
        assert stored.exists() is (line["action"] == "compressed")
        packed = data if line["action"] == "deleted" else stored.read_bytes()
        assert (line["stored_sha256"], line["stored_bytes"]) == (_sha(packed), len(packed))
        raw = week.get(line["path"].replace(".jsonl", ".manifest.json"))
        assert line["manifest"] == (json.loads(raw) if raw else None)
        assert line["manifest_sha256"] == (_sha(raw) if raw else None)
        assert raw is not None or inst_of(line["path"]) != BTC


def _empty_gone(record: list[dict[str, Any]], inst: str) -> int:
    """Count the hours that had a manifest and no lines."""
    return sum(line["stored_path"] is None and line["inst"] == inst for line in record)


def _lines_gone(record: list[dict[str, Any]], inst: str) -> int:
    return sum(line["lines"] for line in record if line["action"] == "deleted" and line["inst"] == inst)


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_every_deletion_beyond_the_record_is_noticed(world: World) -> None:
    """A sample of hours of every kind, taken away by hand: exactly that hour is missing, or breaks the chain."""
    retain(world)
    lines = verified(world)["lines"]
    for name, expected in (
        (f"{BTC}/2026-11-17/03.jsonl.gz", [("03.jsonl", "missing")]),
        (f"{BTC}/2026-11-21/09.jsonl", [("09.jsonl", "missing")]),  # only its manifest vouches for it
        (f"{BTC}/2026-11-17/04.manifest.json", [("04.manifest.json", "missing"), ("05.manifest.json", "manifest")]),
        ("ETH-USDT-SWAP/2026-11-16/23.jsonl.gz", [("23.jsonl", "missing")]),
    ):
        path = world.root / "raw/okx/l2_perps" / name
        data = path.read_bytes()
        path.unlink()
        result = CliRunner().invoke(exporter, ["verify", "--json", str(world.root)])
        found = json.loads(result.stdout)["defects"]
        assert [(Path(one["path"]).name, one["reason"]) for one in found] == expected
        world.put(path, data)
    assert verified(world)["lines"] == lines


@pytest.mark.parametrize("ledger_after", ["never", "1d"])
def test_wherever_retention_cuts_the_ledger_and_the_lines_agree(tmp_path: Path, ledger_after: str) -> None:
    """Losses lie at ends of hours and of days; the job runs every hour, and after each run nothing looks wrong."""
    losses = tuple(hour for hour in range(40) if hour % 3 != 1)
    courses = (
        Course(BTC, end=FIRST + 40 * HOUR, losses=losses),
        Course("SOL-USDT-SWAP", begin=FIRST + 3 * HOUR, end=FIRST + 30 * HOUR, losses=(22, 23, 24), silent=(4, 5)),
    )
    world = build(tmp_path, courses)
    gaps = [one for one in ledger(world.root) if one["kind"] == "gap"]
    assert [one["reason"] for one in gaps] == ["sequence"] * (len(losses) + 3)
    (tmp_path / "l2.toml").write_text(f"[retention]\nledger_after = '{ledger_after}'\n")
    ledgers = set()
    for hour in range(60):
        now = f"{FIRST + hour * HOUR + timedelta(minutes=2):%Y-%m-%dT%H:%M:%SZ}"
        arguments = ["run", "--vault", str(world.root), "--now", now, "--compress-after", "2h", "--delete-after", "9h"]
        assert CliRunner().invoke(program.cli, arguments, catch_exceptions=False).exit_code == 0
        verified(world)
        ledgers.add(len(list(world.root.glob("meta/okx/events/*"))))
    assert not list(world.root.glob("raw/**/*.jsonl*"))
    assert ledgers == ({2} if ledger_after == "never" else {2, 1})
