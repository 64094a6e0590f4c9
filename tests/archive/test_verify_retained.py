"""Deleted told from missing: an hour that is gone has its tombstone, or that is a defect."""

import gzip
from pathlib import Path

import pytest

from l2_exporter.archive.read import read_lines
from l2_exporter.archive.verify import Verification, verify
from l2_exporter.archive.verify_retained import Deleted
from l2_exporter.archive.verify_select import select
from tests.archive.records import digest, record, seal_of, sealed, told
from tests.archive.samples import DAY, HOUR, RULES, Sample, encode, lines
from tests.archive.test_verify import found

DATA = encode(lines())
OTHER = encode(lines()[:1])
SEAL = seal_of(DATA, lines())
NS = 3600 * 10**9


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return Sample(tmp_path / "vault")


def pack(sample: Sample, data: bytes = DATA) -> Path:
    """Put a compressed file in the place of the hour."""
    sample.hour.unlink(missing_ok=True)
    return sample.put(sample.hour.with_suffix(".jsonl.gz"), gzip.compress(data))


def deleted(path: Path) -> list[Deleted]:
    """Verify a path without a defect; tell what it says of deleted files."""
    run = Verification(select([path]), RULES)
    assert list(run.run()) == []
    return run.deleted


# ---- hours -------------------------------------------------------------------------------------------------


def test_a_deleted_hour_is_no_defect_and_is_counted_once(sample: Sample) -> None:
    sample.hour.unlink()
    twice = told("deleted", DATA), told("deleted", DATA, ".gz")  # it stood in two files
    record(sample, told("compressed", DATA, ".gz"), *twice, told("deleted", OTHER, hour=17))
    book = sample.hour.parents[1]
    expected = [Deleted(book, "hour", 2, 6, HOUR * NS, (HOUR + 3) * NS)]
    assert deleted(sample.vault.root) == expected
    assert deleted(sample.vault.root / "meta") == []


def test_tapes_and_days_of_the_ledger(sample: Sample) -> None:
    tape = f"tape/okx/{DAY}/14-okx-1-r1.jsonl"
    where = {"what": "tape", "dataset": None, "inst": None, "path": tape, "hour": 14}
    compressed = told("compressed", OTHER, ".gz", **where, stored_path=tape + ".gz")
    record(sample, compressed)
    assert found(sample.vault.root) == [("14-okx-1-r1.jsonl", 0, "missing")]
    assert found(sample.vault.root / "raw") == []
    record(sample, compressed, told("deleted", OTHER, ".gz", **where, stored_path=tape + ".gz"))
    assert [(one.what, one.count, one.lines) for one in deleted(sample.vault.root)] == [("tape", 1, 1)]
    record(sample, compressed)
    sample.put(sample.vault.root / (tape + ".gz"), b"what a tape holds is not verified")
    assert deleted(sample.vault.root) == []


def test_a_deleted_day_of_the_ledger_is_counted(sample: Sample) -> None:
    path = "meta/okx/events/2026-11-20.jsonl"
    times = {"from": "2026-11-20T00:00:00Z", "until": "2026-11-21T00:00:00Z"}
    where = {"what": "ledger", "dataset": None, "inst": None, "path": path, "stored_path": path}
    record(sample, told("deleted", OTHER, **times, **where))
    assert [(one.folder.name, one.what, one.count) for one in deleted(sample.vault.root)] == [("events", "ledger", 1)]


def test_a_compressed_hour_holds_what_the_record_says(sample: Sample) -> None:
    record(sample, told("compressed", DATA, ".gz"))
    assert found(sample.vault.root) == []  # killed before the plain file went
    path = pack(sample)
    assert found(sample.vault.root) == []
    for spoilt in (OTHER, b""):
        sample.put(path, gzip.compress(spoilt))
        assert found(sample.vault.root) == [("15.jsonl.gz", 0, "record")]
        assert found(path) == found(path.parent) == [("15.jsonl.gz", 0, "record")]
    sample.put(path, gzip.compress(DATA)[:-9])
    assert found(sample.vault.root) == [("15.jsonl.gz", 0, "damaged")]


def test_an_hour_that_was_compressed_again_after_it_grew(sample: Sample) -> None:
    """The first line was taken back when the file grew at the last moment; the second one stands."""
    record(sample, told("compressed", OTHER, ".gz"), told("compressed", DATA, ".gz"))
    pack(sample)
    assert found(sample.vault.root) == []
    record(sample, told("compressed", DATA, ".gz"), told("compressed", OTHER, ".gz"))  # --now can put it the other way
    assert found(sample.vault.root) == []
    record(sample, told("compressed", OTHER, ".gz"), told("compressed", DATA, ".gz"))
    sample.hour.with_suffix(".jsonl.gz").unlink()
    assert found(sample.vault.root) == [("15.jsonl", 0, "missing")]
    record(sample, told("compressed", OTHER, ".gz"), told("compressed", DATA, ".gz"), told("deleted", OTHER))
    assert found(sample.vault.root) == [("15.jsonl", 0, "missing")]


def test_a_compressed_hour_without_file_and_tombstone_is_missing(sample: Sample) -> None:
    sample.hour.unlink()
    record(sample, told("compressed", DATA, ".gz"))
    (defect,) = verify([sample.vault.root], RULES)
    assert (defect.path, defect.line, str(defect.reason)) == (sample.hour, 0, "missing")
    assert defect.detail == f"compressed with sha256 {digest(DATA)} ({DAY}.jsonl:1), no tombstone"
    sample.put(sample.hour.with_name("16.jsonl"), b"")
    assert found(sample.hour.parent) == found(sample.hour.parents[4]) == [("15.jsonl", 0, "missing")]
    assert found(sample.hour.with_name("16.jsonl")) == found(sample.ledger) == []


def test_a_tombstone_of_a_file_that_is_still_there(sample: Sample) -> None:
    record(sample, told("deleted", DATA))
    assert deleted(sample.vault.root) == []  # killed before the file went
    sample.put(sample.hour, DATA + encode(lines()[-1:]))
    assert ("15.jsonl", 0, "record") in found(sample.vault.root)
    record(sample, told("deleted", OTHER))
    sample.put(sample.hour, DATA)
    (defect,) = verify([sample.vault.root], RULES)
    assert (defect.path, str(defect.reason)) == (sample.hour, "record")
    assert defect.detail == f"its plain bytes have sha256 {digest(DATA)}, {DAY}.jsonl:1 says deleted {digest(OTHER)}"


def test_a_link_in_the_place_of_an_hour_is_told_once(sample: Sample) -> None:
    sample.hour.unlink()
    sample.hour.symlink_to(sample.ledger)
    record(sample, told("compressed", DATA, ".gz"))
    assert found(sample.vault.root) == [("15.jsonl", 0, "link")]


def test_a_vault_of_which_only_the_record_is_left(sample: Sample) -> None:
    sample.hour.unlink()
    sample.ledger.unlink()
    path = record(sample, told("deleted", DATA))
    assert [one.count for one in deleted(sample.vault.root)] == [1]
    assert deleted(path) == []
    record(sample, told("compressed", DATA, ".gz"))
    assert found(sample.vault.root) == [("15.jsonl", 0, "missing")]


# ---- manifests ---------------------------------------------------------------------------------------------


def test_the_hour_of_a_manifest_is_deleted_or_missing(sample: Sample) -> None:
    sample.put(sample.manifest, SEAL)
    sample.hour.unlink()
    missing = [("15.jsonl", 0, "missing")]
    assert found(sample.vault.root) == found(sample.manifest) == missing
    record(sample, sealed(told("compressed", DATA, ".gz"), SEAL))
    assert found(sample.vault.root) == missing
    record(sample, sealed(told("deleted", DATA), SEAL))
    assert [one.count for one in deleted(sample.vault.root)] == [1]  # killed before the manifest went
    record(sample, sealed(told("deleted", OTHER), seal_of(OTHER, lines()[:1])))
    assert found(sample.vault.root) == missing
    sample.put(sample.hour, DATA)
    assert found(sample.manifest) == [("15.manifest.json", 0, "record")]


def test_the_manifest_of_a_compressed_hour_is_missing_or_another(sample: Sample) -> None:
    record(sample, sealed(told("compressed", DATA, ".gz"), SEAL))
    path = pack(sample)
    assert found(sample.vault.root) == found(path) == [("15.manifest.json", 0, "missing")]
    sample.put(sample.manifest, SEAL)
    assert found(sample.vault.root) == found(path) == []
    sample.put(sample.manifest, SEAL.replace(b'"test"', b'"Test"'))
    assert found(sample.vault.root) == [("15.manifest.json", 0, "record")]


def test_an_hour_without_lines_and_its_manifest(sample: Sample) -> None:
    sample.hour.unlink()
    seal = seal_of(b"", [], 16)
    path = sample.put(sample.hour.with_name("16.manifest.json"), seal)
    assert deleted(sample.vault.root) == []
    path.unlink()
    record(sample, sealed(told("deleted", None, hour=16), seal))
    assert [(one.count, one.lines) for one in deleted(sample.vault.root)] == [(1, 0)]


def chain(count: int) -> list[bytes]:
    """Write the manifests of hours without lines, from 10 o'clock on."""
    seals: list[bytes] = []
    for number in range(count):
        seals.append(seal_of(b"", [], 10 + number, digest(seals[-1]) if seals else None))
    return seals


@pytest.mark.parametrize("buried", [(), (0,), (0, 1, 2), (1,), (4,), (0, 2, 4), (0, 1, 2, 3, 4)])
@pytest.mark.parametrize("lost", [None, 0, 1, 2, 3, 4])
def test_the_chain_closes_through_tombstones_and_shows_what_is_lost(
    sample: Sample, buried: tuple[int, ...], lost: int | None
) -> None:
    """A manifest that is in neither place is seen by the one behind it; nothing is behind the last one."""
    seals = chain(5)
    tombs = [sealed(told("deleted", None, hour=10 + n), seals[n]) for n in buried if n != lost]
    sample.hour.unlink()
    path = record(sample, *tombs)
    for n, seal in enumerate(seals):
        if n not in buried and n != lost:
            sample.put(sample.hour.with_name(f"{10 + n}.manifest.json"), seal)
    behind = None if lost in (None, 4) else lost + 1
    where = None
    if behind is not None:
        line = 1 + sum(n < behind for n in buried if n != lost)
        where = (path.name, line) if behind in buried else (f"{10 + behind}.manifest.json", 0)
    assert found(sample.vault.root) == ([(*where, "missing" if lost == 0 else "manifest")] if where else [])


def test_a_manifest_that_cannot_be_read_is_a_link_of_the_chain_all_the_same(sample: Sample) -> None:
    sample.hour.unlink()
    broken = b'{"format":1,'
    for hour, seal in ((10, chain(1)[0]), (11, broken), (12, seal_of(b"", [], 12, digest(broken)))):
        sample.put(sample.hour.with_name(f"{hour}.manifest.json"), seal)
    assert found(sample.vault.root) == [("11.manifest.json", 0, "not_json")]


def test_a_part_of_a_book_does_not_miss_what_was_before(sample: Sample) -> None:
    first, second = chain(2)
    sample.hour.unlink()
    path = sample.put(sample.hour.with_name("11.manifest.json"), second)
    assert found(path.parent) == found(path) == []
    assert found(path.parents[1]) == found(sample.vault.root) == [("11.manifest.json", 0, "missing")]
    record(sample, sealed(told("deleted", None, hour=10), first))
    assert found(path.parents[1]) == found(sample.vault.root) == []


# ---- while the job is at work ------------------------------------------------------------------------------


def test_files_that_retention_takes_during_the_verification(sample: Sample) -> None:
    """The first file read is a ledger: everything changes behind it, and nothing of that is a defect."""
    sample.put(sample.manifest, SEAL)
    older, other = sample.hour.with_name("14.jsonl"), sample.hour.with_name("13.jsonl")
    sample.put(older, b"")
    sample.put(other, b"")
    run = Verification(select([sample.vault.root]), RULES)
    defects = run.run()
    pack(sample)
    older.unlink()
    record(sample, sealed(told("compressed", DATA, ".gz"), SEAL), told("deleted", b"", hour=14))
    other.unlink()
    assert [(one.path.name, str(one.reason)) for one in defects] == [("13.jsonl", "missing")]
    assert run.lines == len(list(read_lines(sample.hour.with_suffix(".jsonl.gz")))) == 5
    assert [(one.count, one.lines) for one in run.deleted] == [(1, 0)]


@pytest.mark.parametrize("is_recorded", [True, False])
def test_an_hour_in_two_files_of_which_one_vanishes(sample: Sample, is_recorded: bool) -> None:
    sample.put(sample.hour.with_suffix(".jsonl.gz"), gzip.compress(DATA))
    run = Verification(select([sample.vault.root]), RULES)
    sample.hour.unlink()
    if is_recorded:
        record(sample, told("compressed", DATA, ".gz"))
    assert list(run.run()) == []
    assert run.lines == 5


def test_a_manifest_that_vanishes_without_a_tombstone(sample: Sample) -> None:
    sample.put(sample.manifest, SEAL)
    for tombs, expected in (([told("deleted", DATA)], ["missing"]), ([sealed(told("deleted", DATA), SEAL)], [])):
        sample.put(sample.manifest, SEAL)
        sample.put(sample.hour, DATA)
        run = Verification(select([sample.vault.root]), RULES)
        sample.hour.unlink()
        sample.manifest.unlink()
        record(sample, *tombs)
        assert [str(defect.reason) for defect in run.run()] == expected
