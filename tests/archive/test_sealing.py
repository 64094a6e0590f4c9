"""Sealed hours: on time, also with no lines, after a crash, across losses; a chain, and never opened again."""

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from l2_exporter.archive.disk import Disk
from l2_exporter.archive.layout import Vault, iter_manifest_files
from l2_exporter.archive.verify import verify
from l2_exporter.archive.writer import Archive
from l2_exporter.core.records import BookSpec, HourOver, HoursOver, LedgerRecord, SnapshotRecord
from l2_exporter.core.timetext import HOUR_NS, NS_PER_S, utc_ns, utc_text
from l2_exporter.venues.registry import line_rules

SPEC = BookSpec("okx", "perp", "l2_perps", "books", "BTC-USDT-SWAP", 400, 3)
OTHER = BookSpec("okx", "perp", "l2_perps", "books", "ETH-USDT-SWAP", 400, 3)
START_NS = utc_ns("2026-11-21T10:00:00Z")
HOUR = START_NS // HOUR_NS
EMPTY = hashlib.sha256().hexdigest()
COUNTS = {"received": 5, "applied": 4, "duplicate": 1, "before_seed": 0, "rejected": 0, "ignored": 0}
SUMS = {"ok": 3, "mismatch": 0, "unchecked": 1}


def at(seconds: float) -> int:
    """Name a moment so many seconds after the start of the hour."""
    return START_NS + round(seconds * NS_PER_S)


def line(seconds: float, seq: int = 1, *flags: str, spec: BookSpec = SPEC) -> SnapshotRecord:
    """Make a line; one behind a gap begins an episode."""
    rows = ([["100", "1", "0", "1"]], [["101", "1", "0", "1"]])
    gap = "gap" in flags
    return SnapshotRecord(
        spec,
        at(seconds),
        at(seconds),
        *rows,
        None,
        None,
        seq,
        seq - 1,
        gap,
        flags,
        at(seconds if "after_gap" in flags else 0),
    )


def said(kind: str, seconds: float, ident: str | None = None, reason: str | None = None, **times: int) -> LedgerRecord:
    return LedgerRecord(at(seconds), kind, spec=SPEC, id=ident, reason=reason, **times)


def over(hour: int = HOUR, *, spec: BookSpec = SPEC, seconds: float = 3_700) -> HourOver:
    return HourOver(((spec, 2_000),), hour, at(seconds), COUNTS, SUMS, whole=True)


def archive(root: Path, *, patient: bool = False, disk: Disk | None = None) -> Archive:
    made = Archive(Vault(root), "okx", patient=patient, disk=disk, continuity_of=lambda _channel: "sequence")
    made.begin()
    return made


def manifests(root: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """Return manifests by instrument and hour after the first."""
    return {(place.inst, place.hour - HOUR): json.loads(place.path.read_bytes()) for place in iter_manifest_files(root)}


def ledger_lines(root: Path) -> list[str]:
    return (root / "meta/okx/events/2026-11-21.jsonl").read_text().splitlines()


def test_a_manifest_says_what_the_hour_holds(tmp_path: Path) -> None:
    vault = archive(tmp_path)
    vault.note(said("live", 5, until_event_ns=at(5)))
    vault.write(line(5, 7), None)
    vault.write(line(9, 8, "gap"), None)
    vault.note(said("gap", 9, "a1", "sequence", since_event_ns=at(9)))
    vault.note(said("live", 20, "a1", "sequence", until_event_ns=at(19.5)))
    vault.write(line(20, 30, "after_gap"), None)
    vault.seal(over(), "live", None)
    vault.close(at(3_800))
    path = tmp_path / "raw/okx/l2_perps/BTC-USDT-SWAP/2026-11-21/10.jsonl"
    data = path.read_bytes()
    (manifest,) = manifests(tmp_path).values()
    assert {name: manifest[name] for name in ("lines", "bytes", "sha256", "previous", "sealed", "origin")} == {
        "lines": 3,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "previous": None,
        "sealed": "run",
        "origin": "live",
    }
    assert (manifest["first_utc"], manifest["last_utc"]) == ("2026-11-21T10:00:05.000Z", "2026-11-21T10:00:20.000Z")
    assert (manifest["seq_first"], manifest["seq_last"], manifest["hour_utc"]) == (7, 30, "2026-11-21T10:00:00Z")
    assert manifest["flags"] == {"after_gap": 1, "gap": 1}
    assert manifest["episodes"] == [
        {"from": "2026-11-21T10:00:05.000Z", "until": "2026-11-21T10:00:09.000Z"},
        {"from": "2026-11-21T10:00:19.500Z", "until": "2026-11-21T11:00:00.000Z"},
    ]
    assert manifest["losses"] == [
        {"id": "a1", "reason": "sequence", "from": "2026-11-21T10:00:09.000Z", "until": "2026-11-21T10:00:19.500Z"}
    ]
    assert manifest["not_live_s"] == 15.5
    assert (manifest["messages"], manifest["checksum"]) == (COUNTS, SUMS)
    assert (manifest["continuity"], manifest["cadence_ms"], manifest["depth"]) == ("sequence", 2_000, 400)
    ledger = [json.loads(text) for text in ledger_lines(tmp_path)]
    sealed = ledger[-1]
    assert (sealed["kind"], sealed["instId"], sealed["reason"]) == ("sealed", "BTC-USDT-SWAP", None)
    assert (
        sealed["detail"]["manifest_sha256"]
        == hashlib.sha256(path.with_suffix(".manifest.json").read_bytes()).hexdigest()
    )


def test_an_hour_without_lines_is_sealed_too_and_a_loss_that_lasts_is_in_each_hour(tmp_path: Path) -> None:
    vault = archive(tmp_path)
    vault.note(said("live", 0, until_event_ns=at(0)))
    vault.write(line(1), None)
    vault.note(said("gap", 1_800, "a1", "disconnect", since_event_ns=at(1_800)))
    for hour in (HOUR, HOUR + 1):
        vault.seal(over(hour), "live", None)
    vault.note(said("live", 7_260, "a1", "disconnect", until_event_ns=at(7_260)))
    vault.write(line(7_261, 9, "after_gap"), None)
    vault.seal(over(HOUR + 2), "live", None)
    vault.close(at(11_000))
    found = manifests(tmp_path)
    by_hour = [found["BTC-USDT-SWAP", number] for number in range(3)]
    assert [one["lines"] for one in by_hour] == [1, 0, 1]
    assert [one["not_live_s"] for one in by_hour] == [1_800, 3_600, 60]
    assert [one["losses"][0]["until"] for one in by_hour] == [None, None, "2026-11-21T12:01:00.000Z"]
    assert (by_hour[1]["sha256"], by_hour[1]["bytes"], by_hour[1]["episodes"]) == (EMPTY, 0, [])
    paths = [tmp_path / f"raw/okx/l2_perps/BTC-USDT-SWAP/2026-11-21/{hour}.manifest.json" for hour in (10, 11, 12)]
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    assert [one["previous"] for one in by_hour] == [None, *digests[:2]]


def test_a_book_that_was_never_live_was_not_live_all_the_hour(tmp_path: Path) -> None:
    vault = archive(tmp_path)
    vault.seal(over(), "live", None)
    (manifest,) = manifests(tmp_path).values()
    assert (manifest["not_live_s"], manifest["episodes"], manifest["losses"]) == (3_600, [], [])


def test_a_sealed_hour_takes_no_line_from_this_run_or_the_next(tmp_path: Path) -> None:
    vault = archive(tmp_path)
    vault.write(line(1), None)
    vault.seal(over(), "live", None)
    vault.write(line(2), None)
    vault.close(at(3_800))
    again = archive(tmp_path)
    again.write(line(3), None)
    again.close(at(3_900))
    assert (sum(vault.late.values()), sum(again.late.values())) == (1, 1)
    path = tmp_path / "raw/okx/l2_perps/BTC-USDT-SWAP/2026-11-21/10.jsonl"
    assert path.read_bytes().count(b"\n") == 1
    kinds = [json.loads(text)["kind"] for text in ledger_lines(tmp_path)]
    assert kinds == ["sealed", "late_line", "late_line"]


def killed(root: Path) -> None:
    """Leave an hour as a killed run does: its lines, a torn one behind, and a ledger without an end."""
    vault = archive(root)
    vault.note(LedgerRecord(at(0), "started", detail={"origin": "live", "cadence_ms": 2_000}))
    vault.note(said("live", 0, until_event_ns=at(0)))
    for second in (1, 3):
        vault.write(line(second), None)
    vault.close(at(4))
    with (root / "raw/okx/l2_perps/BTC-USDT-SWAP/2026-11-21/10.jsonl").open("ab") as file:
        file.write(b'{"timestamp_utc":"2026-11-21T10:00:05.0')


@pytest.mark.parametrize("first", ["own hour", "venue clock"])
def test_what_a_killed_run_left_is_sealed_by_the_next_and_marked(first: str, tmp_path: Path) -> None:
    killed(tmp_path)
    vault = archive(tmp_path)
    vault.note(said("gap", 7_300, "r1", "restart", since_event_ns=at(3)))
    if first == "venue clock":
        vault.seal_orphans(HoursOver(HOUR + 2, at(7_330)))
        vault.note(said("live", 7_350, "r1", "restart", until_event_ns=at(7_350)))
        vault.write(line(7_350, 9, "after_gap"), None)
    else:
        vault.note(said("live", 7_350, "r1", "restart", until_event_ns=at(7_350)))
        vault.write(line(7_350, 9, "after_gap"), None)
    vault.seal(over(HOUR + 2, seconds=11_000), "live", None)
    vault.close(at(11_100))
    found = manifests(tmp_path)
    assert [number for _, number in found] == [0, 2]
    orphan = found["BTC-USDT-SWAP", 0]
    assert (orphan["sealed"], orphan["lines"], orphan["messages"], orphan["checksum"]) == ("later", 2, None, None)
    assert (orphan["origin"], orphan["cadence_ms"], orphan["continuity"]) == ("live", 2_000, "sequence")
    assert (orphan["not_live_s"], [loss["id"] for loss in orphan["losses"]]) == (3_597, ["r1"])
    own = tmp_path / "raw/okx/l2_perps/BTC-USDT-SWAP/2026-11-21/10.manifest.json"
    assert found["BTC-USDT-SWAP", 2]["previous"] == hashlib.sha256(own.read_bytes()).hexdigest()
    assert own.with_name("10.torn").read_bytes() == b'{"timestamp_utc":"2026-11-21T10:00:05.0'
    assert [*verify([tmp_path], line_rules())] == []


def test_an_hour_that_is_over_when_the_run_restarts_keeps_its_place_in_the_chain(tmp_path: Path) -> None:
    """The run before ended at 10:59, this one begins at 11:00:30: only at 11:02 does the venue's clock seal hour 10."""
    killed(tmp_path)
    vault = archive(tmp_path)
    vault.seal_orphans(HoursOver(HOUR, at(3_630)))
    vault.note(said("gap", 3_630, "r1", "restart", since_event_ns=at(3)))
    vault.note(said("live", 3_640, "r1", "restart", until_event_ns=at(3_640)))
    vault.write(line(3_640, 9, "after_gap"), None)
    vault.seal_orphans(HoursOver(HOUR + 1, at(3_730)))
    vault.seal(over(HOUR + 1, seconds=7_300), "live", None)
    vault.close(at(7_400))
    first, second = (manifests(tmp_path)["BTC-USDT-SWAP", number] for number in (0, 1))
    assert (first["sealed"], first["previous"], second["sealed"]) == ("later", None, "run")
    own = tmp_path / "raw/okx/l2_perps/BTC-USDT-SWAP/2026-11-21/10.manifest.json"
    assert second["previous"] == hashlib.sha256(own.read_bytes()).hexdigest()
    assert [*verify([tmp_path], line_rules())] == []


def test_no_line_comes_into_an_hour_that_is_over_though_nobody_has_sealed_it_yet(tmp_path: Path) -> None:
    killed(tmp_path)
    vault = archive(tmp_path, patient=True)
    path = tmp_path / "raw/okx/l2_perps/BTC-USDT-SWAP/2026-11-21/10.jsonl"
    vault.write(line(600), 0)
    before = path.read_bytes()
    vault.seal_orphans(HoursOver(HOUR + 1, at(3_730)))
    vault.write(line(700), 0)
    vault.write(line(800, spec=OTHER), 0)
    assert path.read_bytes() == before
    assert sum(vault.late.values()) == 2
    assert not (tmp_path / "raw/okx/l2_perps/ETH-USDT-SWAP").exists()


@pytest.mark.parametrize("damage", [b"\0" * 9_000 + b"\n", b"\n", b"not JSON\n"])
def test_an_old_file_that_cannot_be_read_is_passed_over_and_holds_nobody_up(damage: bytes, tmp_path: Path) -> None:
    killed(tmp_path)
    path = tmp_path / "raw/okx/l2_perps/BTC-USDT-SWAP/2026-11-21/10.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], damage, *([lines[1]] * 3_000)]))
    vault = archive(tmp_path)
    vault.write(line(7_300, spec=OTHER), None)
    vault.seal(over(HOUR + 2, spec=OTHER), "live", None)
    assert [inst for inst, _ in manifests(tmp_path)] == ["ETH-USDT-SWAP"]


def test_an_hour_that_retention_compresses_meanwhile_does_not_come_back_empty(tmp_path: Path) -> None:
    killed(tmp_path)
    path = tmp_path / "raw/okx/l2_perps/BTC-USDT-SWAP/2026-11-21/10.jsonl"
    plain = b"".join(path.read_bytes().splitlines(keepends=True)[:2])
    vault = archive(tmp_path, patient=True)
    vault.seal(over(), "live", None)
    path.with_suffix(".jsonl.gz").write_bytes(gzip.compress(plain))
    path.unlink()
    while vault.seals.waiting:
        vault.sealed(vault.seals.run_next())
    (manifest,) = manifests(tmp_path).values()
    assert (manifest["lines"], manifest["sha256"]) == (2, hashlib.sha256(plain).hexdigest())
    assert not path.exists()


def test_a_replay_leaves_the_hours_of_others_alone(tmp_path: Path) -> None:
    killed(tmp_path)
    vault = archive(tmp_path)
    vault.write(line(3_700, spec=OTHER), None)
    vault.seal(over(HOUR + 1, spec=OTHER), "replay", None)
    assert [inst for inst, _ in manifests(tmp_path)] == ["ETH-USDT-SWAP"]


def test_an_hour_that_two_runs_recorded_claims_no_counts(tmp_path: Path) -> None:
    killed(tmp_path)
    vault = archive(tmp_path)
    vault.note(said("gap", 60, "r1", "restart", since_event_ns=at(3)))
    vault.note(said("live", 60, "r1", "restart", until_event_ns=at(60)))
    vault.write(line(60, 9, "after_gap"), None)
    vault.seal(over(), "live", None)
    (manifest,) = manifests(tmp_path).values()
    assert (manifest["sealed"], manifest["lines"], manifest["messages"]) == ("run", 3, None)
    assert (manifest["not_live_s"], len(manifest["losses"]), len(manifest["episodes"])) == (57, 1, 2)


def tombstone(hour: int, digest: str | None) -> str:
    day, of_day = utc_text(hour * HOUR_NS, 1)[:10], utc_text(hour * HOUR_NS, 1)[11:13]
    path = f"raw/okx/l2_perps/BTC-USDT-SWAP/{day}/{of_day}.jsonl"
    told = {"action": "deleted", "what": "hour", "path": path, "manifest_sha256": digest}
    return json.dumps(told, separators=(",", ":")) + "\n"


def test_the_chain_goes_on_behind_what_retention_deleted_and_deleted_hours_take_no_lines(tmp_path: Path) -> None:
    record = tmp_path / "meta/retention/2026-11-20.jsonl"
    record.parent.mkdir(parents=True)
    record.write_text(
        tombstone(HOUR - 3, "aa") + tombstone(HOUR - 2, "bb") + "not JSON\n" + '{"action":"deleted","what":"hour"}\n'
    )
    vault = archive(tmp_path)
    vault.write(line(-7_000), None)  # in the hour that was deleted last
    vault.write(line(1), None)
    vault.seal(over(), "live", None)
    assert sum(vault.late.values()) == 1
    assert manifests(tmp_path)["BTC-USDT-SWAP", 0]["previous"] == "bb"


class Failing(Disk):
    """A disk that refuses manifests as often as it is told to."""

    failures = 0

    def write_whole(self, path: Path, data: bytes, *, durable: bool = True) -> None:
        if path.name.endswith(".manifest.json") and self.failures:
            self.failures -= 1
            raise OSError(28, "no space")
        super().write_whole(path, data, durable=durable)


def test_an_hour_that_the_disk_refuses_is_sealed_later_and_in_its_order(tmp_path: Path) -> None:
    disk = Failing()
    vault = archive(tmp_path, patient=True, disk=disk)
    disk.failures = 2
    for hour in (HOUR, HOUR + 1):
        vault.seal(over(hour), "live", None)
    assert vault.seals.waiting == 3
    assert vault.seals.run_next() == []  # no orphans
    for _ in range(2):
        with pytest.raises(OSError, match="no space"):
            vault.seals.run_next()
    assert [sealed.hour - HOUR for _ in range(2) for sealed in vault.seals.run_next()] == [0, 1]
    found = manifests(tmp_path)
    assert [found["BTC-USDT-SWAP", number]["previous"] is None for number in (0, 1)] == [True, False]
    assert [*tmp_path.rglob(".tmp-*")] == []
