"""The one writer: strict ascent, restarts, and a disk that fails in every way at every call."""

import json
from pathlib import Path

import pytest

from l2_exporter.archive import hourfile
from l2_exporter.archive.disk import Disk
from l2_exporter.archive.layout import Vault
from l2_exporter.archive.line import encode_line
from l2_exporter.archive.writer import Archive
from l2_exporter.core.errors import ArchiveError, ConfigError, VenueError
from l2_exporter.core.records import BookSpec, LedgerRecord, SnapshotRecord
from l2_exporter.core.sampling import Floor
from l2_exporter.core.timetext import HOUR_NS, hour_of
from tests.archive.faulty import FaultyDisk, broken, full
from tests.okx_frames import ASKS, BIDS, MS, T0, S

SPEC = BookSpec("okx", "perp", "l2_perps", "books", "BTC-USDT-SWAP", 400, 3)
OTHER = BookSpec("okx", "spot", "l2_spot", "books", "BTC-USDT", 400, 3)


def record(ms: int, *, gap: bool = False, spec: BookSpec = SPEC) -> SnapshotRecord:
    """Make a line's record, `ms` after T0."""
    at = (T0 + ms) * MS
    flags = ("gap",) if gap else ()
    return SnapshotRecord(spec, at, at + 1, [*BIDS], [*ASKS], 0, None, 2, 1, gap, flags, T0 * MS)


def hour_file(root: Path, ms: int = 0, spec: BookSpec = SPEC) -> Path:
    return Vault(root).hour_file(spec.venue, spec.dataset, spec.inst, hour_of((T0 + ms) * MS))


def ledger(root: Path) -> list[dict[str, object]]:
    folder = Vault(root).ledger_folder("okx")
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_bytes().splitlines()]


def test_line_has_the_contracts_fields_in_order() -> None:
    line = encode_line(record(123, gap=True))
    assert line == (
        b'{"timestamp_utc":"2023-11-14T22:13:20.123Z","exchange":"okx","market":"perp","channel":"books",'
        b'"instId":"BTC-USDT-SWAP","bids_top400":[["100","1","0","1"],["99.5","2","0","1"]],'
        b'"asks_top400":[["100.5","3","0","2"],["101","4","0","1"]],"best_bid":"100","best_ask":"100.5",'
        b'"mid_price":"100.25","checksum":0,"seqId":2,"prevSeqId":1,"gap_detected":true,'
        b'"received_utc":"2023-11-14T22:13:20.123000Z","checksum_ok":null,"flags":["gap"],'
        b'"live_since_utc":"2023-11-14T22:13:20.000Z"}\n'
    )


def test_empty_side_and_unknown_receive_time_are_null() -> None:
    bare = SnapshotRecord(SPEC, T0 * MS, None, [], [*ASKS], None, None, None, None, False, (), T0 * MS)
    line = json.loads(encode_line(bare))
    assert [line[name] for name in ("best_bid", "best_ask", "mid_price", "received_utc", "seqId", "checksum")] == [
        *(None, "100.5", None),
        *(None, None, None),
    ]


def test_only_ascending_lines_are_written(tmp_path: Path) -> None:
    archive = Archive(Vault(tmp_path), "okx")
    written = [record(0), record(0, gap=True), record(5)]
    for one in (*written, record(5), record(3, gap=True)):
        archive.write(one, None)
    archive.close(T0 * MS)
    assert hour_file(tmp_path).read_bytes() == b"".join(map(encode_line, written))
    assert (archive.lines[SPEC], archive.not_ascending[SPEC]) == (3, 2)


def test_line_goes_to_the_hour_of_its_timestamp(tmp_path: Path) -> None:
    archive = Archive(Vault(tmp_path), "okx")
    hour_ms = HOUR_NS // MS
    for ms in (0, hour_ms, 5, 3 * hour_ms, 2):
        archive.write(record(ms), None)
    archive.close(T0 * MS)
    assert hour_file(tmp_path, 0).read_bytes() == encode_line(record(0)) + encode_line(record(5))
    assert hour_file(tmp_path, hour_ms).read_bytes() == encode_line(record(hour_ms))
    assert hour_file(tmp_path, 3 * hour_ms).read_bytes() == encode_line(record(3 * hour_ms))


def test_start_goes_on_behind_the_last_line_and_repairs_a_torn_tail(tmp_path: Path) -> None:
    archive = Archive(Vault(tmp_path), "okx")
    archive.write(record(0), None)
    archive.close(T0 * MS)
    with hour_file(tmp_path).open("ab") as file:
        file.write(encode_line(record(9))[:100])
    again = Archive(Vault(tmp_path), "okx")
    assert again.past.floor(SPEC, hour_of(T0 * MS)) == Floor(T0 * MS, gap=False)
    newest = again.past.newest(SPEC)
    assert newest is not None
    assert (newest.event_ns, newest.recv_ns) == (T0 * MS, T0 * MS)
    again.write(record(7), None)
    again.close(T0 * MS)
    assert hour_file(tmp_path).read_bytes() == encode_line(record(0)) + encode_line(record(7))
    assert hour_file(tmp_path).with_suffix(".torn").read_bytes() == encode_line(record(9))[:100]


@pytest.mark.parametrize("ending", [".jsonl.gz", ".jsonl.zst", ".manifest.json"])
def test_closed_hour_takes_no_more_lines_and_that_is_said_once(tmp_path: Path, ending: str) -> None:
    closed = hour_file(tmp_path).with_name(hour_file(tmp_path).name.replace(".jsonl", ending))
    closed.parent.mkdir(parents=True)
    closed.write_bytes(b"kept")
    archive = Archive(Vault(tmp_path), "okx")
    archive.write(record(0), None)
    archive.write(record(5), None)
    archive.close(T0 * MS)
    assert not hour_file(tmp_path).exists()
    assert closed.read_bytes() == b"kept"
    assert [entry["kind"] for entry in ledger(tmp_path)] == ["late_line"]
    assert sum(archive.late.values()) == 2


@pytest.mark.parametrize("left", [0, 1, 100, None])
def test_failed_or_short_write_leaves_the_file_as_it_was_and_is_declared(tmp_path: Path, left: int | None) -> None:
    def fault(call: str, count: int) -> OSError | int | None:
        if call != "append" or count not in (1, 3):
            return None
        return full() if left is None else left

    archive = Archive(Vault(tmp_path), "okx", disk=FaultyDisk(fault))
    for ms in (0, 2000, 4000, 6000):
        archive.write(record(ms), ms * MS)
    archive.close(T0 * MS)
    # calls: line 0, line 1 fails, its ledger entry, line 2 fails, line 3, its ledger entry
    assert hour_file(tmp_path).read_bytes() == encode_line(record(0)) + encode_line(record(6000))
    suspended, resumed = ledger(tmp_path)
    assert (suspended["kind"], suspended["since_event"]) == ("write_suspended", "2023-11-14T22:13:22.000Z")
    assert (resumed["kind"], resumed["since_event"]) == ("write_resumed", "2023-11-14T22:13:22.000Z")
    assert (resumed["until_event"], resumed["detail"]) == (
        "2023-11-14T22:13:26.000Z",
        {"dataset": "l2_perps", "lines_lost": 2},
    )


def test_cut_that_fails_too_is_made_good_by_the_next_opening(tmp_path: Path) -> None:
    def fault(call: str, count: int) -> OSError | int | None:
        if call == "append" and count == 1:
            return 40
        return broken() if call == "truncate" and count == 0 else None

    archive = Archive(Vault(tmp_path), "okx", disk=FaultyDisk(fault))
    for ms in (0, 2000, 4000):
        archive.write(record(ms), ms * MS)
    archive.close(T0 * MS)
    assert hour_file(tmp_path).read_bytes() == encode_line(record(0)) + encode_line(record(4000))
    assert hour_file(tmp_path).with_suffix(".torn").read_bytes() == encode_line(record(2000))[:40]


def test_other_books_are_written_while_one_hour_file_cannot_be(tmp_path: Path) -> None:
    hour_file(tmp_path).mkdir(parents=True)
    archive = Archive(Vault(tmp_path), "okx")
    archive.write(record(0), 0)
    archive.write(record(0, spec=OTHER), 0)
    archive.close(T0 * MS)
    assert hour_file(tmp_path, spec=OTHER).read_bytes() == encode_line(record(0, spec=OTHER))
    assert [entry["kind"] for entry in ledger(tmp_path)] == ["write_suspended"]


def test_ledger_lines_wait_in_order_while_the_disk_is_full(tmp_path: Path) -> None:
    full_now = [True]
    disk = FaultyDisk(lambda call, _count: full() if call == "append" and full_now[0] else None)
    archive = Archive(Vault(tmp_path), "okx", disk=disk)
    for number in range(3):
        archive.note(LedgerRecord(T0 * MS, "gap", id=str(number)))
    assert ledger(tmp_path) == []
    full_now[0] = False
    archive.note(LedgerRecord((T0 + 1) * MS, "live", id="0"))
    archive.close(T0 * MS)
    assert [(entry["kind"], entry["id"]) for entry in ledger(tmp_path)] == [
        *(("gap", "0"), ("gap", "1"), ("gap", "2")),
        ("live", "0"),
    ]


def test_hopeless_disk_ends_the_recording_after_a_minute_but_a_full_one_never(tmp_path: Path) -> None:
    for error, ends in ((full, False), (broken, True)):
        disk = FaultyDisk(lambda call, _count, error=error: error() if call == "append" else None)  # type: ignore[misc]
        archive = Archive(Vault(tmp_path / error.__name__), "okx", disk=disk)
        archive.write(record(0), 100 * S)
        archive.write(record(1), 159 * S)
        if ends:
            with pytest.raises(ArchiveError, match="for a minute now"):
                archive.write(record(2), 160 * S)
        else:
            archive.write(record(2), 10_000 * S)


def test_impatient_writer_stops_at_the_first_failure(tmp_path: Path) -> None:
    disk = FaultyDisk(lambda call, _count: full() if call == "append" else None)
    archive = Archive(Vault(tmp_path), "okx", disk=disk, patient=False)
    with pytest.raises(ArchiveError, match="No space left"):
        archive.write(record(0), 0)


def test_undated_ledger_lines_wait_for_the_first_known_time(tmp_path: Path) -> None:
    archive = Archive(Vault(tmp_path), "okx")
    archive.note(LedgerRecord(None, "started"))
    archive.note(LedgerRecord(None, "live"), newest_event_ns=T0 * MS)
    archive.close(1)
    assert [(entry["at"], entry["kind"]) for entry in ledger(tmp_path)] == [
        ("2023-11-14T22:13:20.000000Z", "started"),
        ("2023-11-14T22:13:20.000000Z", "live"),
    ]


def test_ledger_is_split_by_utc_date_and_repaired(tmp_path: Path) -> None:
    archive = Archive(Vault(tmp_path), "okx")
    archive.note(LedgerRecord(T0 * MS, "started"))
    archive.close(T0 * MS)
    first = next(Vault(tmp_path).ledger_folder("okx").glob("*.jsonl"))
    with first.open("ab") as file:
        file.write(b'{"at":"2023')
    again = Archive(Vault(tmp_path), "okx")
    again.note(LedgerRecord((T0 + 1) * MS, "stopped"))
    again.note(LedgerRecord((T0 + 86_400_000) * MS, "started"))
    again.close(T0 * MS)
    assert [entry["kind"] for entry in ledger(tmp_path)] == ["started", "stopped", "started"]
    assert sorted(path.name for path in first.parent.iterdir()) == [
        "2023-11-14.jsonl",
        "2023-11-14.torn",
        "2023-11-15.jsonl",
    ]


def test_gap_that_nobody_ended_is_found_by_the_next_start(tmp_path: Path) -> None:
    archive = Archive(Vault(tmp_path), "okx")
    for ident in ("a", "b"):
        archive.note(LedgerRecord(T0 * MS, "gap", spec=SPEC, id=ident, reason="sequence", since_event_ns=T0 * MS))
    archive.note(LedgerRecord(T0 * MS, "live", spec=SPEC, id="a"))
    archive.close(T0 * MS)
    found = Archive(Vault(tmp_path), "okx").past.open_gaps(SPEC)
    assert [(gap.id, gap.reason, gap.since_event_ns) for gap in found] == [("b", "sequence", T0 * MS)]
    assert Archive(Vault(tmp_path), "okx").past.open_gaps(OTHER) == []


def test_newest_line_is_found_behind_empty_and_damaged_files(tmp_path: Path) -> None:
    archive = Archive(Vault(tmp_path), "okx")
    archive.write(record(0), None)
    archive.close(T0 * MS)
    hour_ms = HOUR_NS // MS
    hour_file(tmp_path, hour_ms).write_bytes(b"\0" * 50)
    damaged = hour_file(tmp_path, 2 * hour_ms)
    damaged.parent.mkdir(parents=True, exist_ok=True)
    damaged.with_name(damaged.name + ".gz").write_bytes(b"no gzip")
    newest = Archive(Vault(tmp_path), "okx").past.newest(SPEC)
    assert newest is not None
    assert newest.event_ns == T0 * MS


def test_ids_that_cannot_share_a_file_system_are_refused(tmp_path: Path) -> None:
    archive = Archive(Vault(tmp_path), "okx")
    archive.past.admit(SPEC)
    with pytest.raises(ConfigError, match=r"'BTC-USDT-SWAP' and 'btc-usdt-swap'"):
        archive.past.admit(BookSpec("okx", "perp", "l2_perps", "books", "btc-usdt-swap", 400, 3))
    with pytest.raises(VenueError, match="longer than"):
        archive.past.admit(BookSpec("okx", "perp", "l2_perps", "books", "X" * 500, 400, 3))


def test_stored_instrument_may_not_differ_in_case_only(tmp_path: Path) -> None:
    archive = Archive(Vault(tmp_path), "okx")
    archive.write(record(0), None)
    archive.close(T0 * MS)
    with pytest.raises(ConfigError, match=r"'BTC-USDT-SWAP' and 'btc-usdt-swap'"):
        Archive(Vault(tmp_path), "okx").past.admit(
            BookSpec("okx", "perp", "l2_perps", "books", "btc-usdt-swap", 400, 3)
        )


def test_more_books_than_descriptors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hourfile, "OPEN_FILES", 3)
    archive = Archive(Vault(tmp_path), "okx")
    specs = [BookSpec("okx", "spot", "l2_spot", "books", f"X{number}-USDT", 400, 3) for number in range(10)]
    for ms in (0, 1, 2):
        for spec in specs:
            archive.write(record(ms, spec=spec), 0)
    job = archive.sync_job(10 * S, S)
    assert job is not None
    job.run()
    archive.synced(job, ok=True)
    assert archive.sync_lag_ns(10 * S) == 0
    archive.close(T0 * MS)
    for spec in specs:
        assert hour_file(tmp_path, spec=spec).read_bytes() == b"".join(
            encode_line(record(ms, spec=spec)) for ms in (0, 1, 2)
        )


def test_symbolic_link_is_not_written_through(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"")
    hour_file(tmp_path / "v").parent.mkdir(parents=True)
    hour_file(tmp_path / "v").symlink_to(outside)
    archive = Archive(Vault(tmp_path / "v"), "okx")
    archive.write(record(0), 0)
    archive.close(T0 * MS)
    assert outside.read_bytes() == b""
    assert [entry["kind"] for entry in ledger(tmp_path / "v")] == ["write_suspended"]


def test_rejected_frames_are_kept_a_bounded_number_of_them(tmp_path: Path) -> None:
    archive = Archive(Vault(tmp_path), "okx")
    for number in range(150):
        archive.keep_frame("x" * 2_000_000 if number == 0 else b"\xff", "not JSON", T0 * MS)
    kept = sorted(Vault(tmp_path).rejected_folder("okx").iterdir())
    assert len(kept) == 100
    assert max(path.stat().st_size for path in kept) < 1_500_000


def test_what_was_written_is_synced_when_it_is_closed(tmp_path: Path) -> None:
    synced: list[str] = []

    def fault(call: str, _count: int) -> None:
        synced.append(call)

    archive = Archive(Vault(tmp_path), "okx", disk=FaultyDisk(fault))
    archive.write(record(0), None)
    archive.note(LedgerRecord(T0 * MS, "started"))
    archive.close(T0 * MS)
    assert synced == ["open_append", "append", "open_append", "append", "fsync", "fsync", "fsync"]


def test_real_disk_reports_nothing_unusual(tmp_path: Path) -> None:
    archive = Archive(Vault(tmp_path), "okx", disk=Disk(), patient=False)
    for ms in range(0, 10_000, 500):
        archive.write(record(ms), None)
    archive.close(T0 * MS)
    assert len(hour_file(tmp_path).read_bytes().splitlines()) == 20
