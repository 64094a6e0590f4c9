"""The retention job's record by itself: every line that no job of ours writes is told, by file and line."""

from pathlib import Path

import pytest

from l2_exporter.archive.verify import verify
from tests.archive.records import Line, digest, record, seal_of, sealed, told
from tests.archive.samples import DAY, RULES, Sample, encode, lines

DATA = encode(lines())
SEAL = seal_of(DATA, lines())
HOUR_PATH = told("deleted", DATA)["path"]


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return Sample(tmp_path / "vault")


def found(path: Path) -> list[tuple[str, int, str]]:
    return [(defect.path.name, defect.line, str(defect.reason)) for defect in verify([path], RULES)]


def tape(**changes: object) -> Line:
    path = f"tape/okx/{DAY}/14-okx-1-r1.jsonl"
    where = {"what": "tape", "dataset": None, "inst": None, "path": path, "stored_path": path}
    return told("deleted", b"{}\n", hour=14, **where | changes)


def day_of_ledger(**changes: object) -> Line:
    path = "meta/okx/events/2026-11-20.jsonl"
    times = {"from": "2026-11-20T00:00:00Z", "until": "2026-11-21T00:00:00Z"}
    where = {"what": "ledger", "dataset": None, "inst": None, "path": path, "stored_path": path}
    return told("deleted", b"{}\n", **times | where | changes)


GOOD = {
    "compressed": told("compressed", DATA, ".gz"),
    "zstd": told("compressed", DATA, ".zst", at=f"{DAY}T23:00:00.123456Z"),
    "sealed": sealed(told("compressed", DATA, ".gz"), SEAL),
    "deleted though still there": told("deleted", DATA),
    "a field of a later version": told("deleted", DATA) | {"later": 1},
    "no lines": sealed(told("deleted", None, hour=16), seal_of(b"", [], 16, digest(SEAL))),
    "tape": tape(),
    "ledger": day_of_ledger(),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_line(sample: Sample, name: str) -> None:
    path = record(sample, GOOD[name])
    sample.put(sample.manifest, SEAL)
    assert found(sample.vault.root) == found(path) == found(path.parent) == []


def changed(**changes: object) -> Line:
    return told("deleted", DATA) | changes


BAD: list[tuple[str, bytes | Line]] = [
    ("not_json", b"{\n"),
    ("not_json", b"17\n"),
    ("not_json", bytes(40) + b"\n"),
    ("fields", {name: value for name, value in changed().items() if name != "lines"}),
    ("fields", dict(reversed(changed().items()))),
    ("type", changed(lines="5")),
    ("type", changed(sha256=7)),
    ("type", changed(path=None)),
    ("time", changed(at="yesterday")),
    ("time", changed(until="2026-11-26")),
    ("date", changed(at="2026-11-27T00:00:00Z")),
    ("kind", changed(format=2)),
    ("kind", changed(action="moved")),
    ("kind", changed(what="day")),
    ("path", changed(path="../" + HOUR_PATH)),
    ("path", changed(path="/" + HOUR_PATH)),
    ("path", changed(path=HOUR_PATH.replace("/", "//"))),
    ("path", changed(path=HOUR_PATH + ".gz")),
    ("path", changed(path=HOUR_PATH.replace("15.jsonl", "25.jsonl"))),
    ("path", changed(venue="kraken")),
    ("path", changed(inst="ETH-USDT-SWAP")),
    ("path", changed(dataset=None)),
    ("path", changed(until=f"{DAY}T17:00:00Z")),
    ("path", changed(what="tape", dataset=None, inst=None)),
    ("path", changed(stored_path=HOUR_PATH.replace("15.", "16."))),
    ("path", told("compressed", DATA)),
    ("path", day_of_ledger(stored_path="meta/okx/events/2026-11-20.jsonl.gz")),
    ("record", changed(sha256="0" * 63 + "G")),
    ("record", changed(bytes=-1)),
    ("record", changed(sha256=None)),
    ("record", changed(stored_sha256=None)),
    ("record", changed(stored_bytes=3)),
    ("record", changed(stored_sha256="0" * 64)),
    ("record", changed(manifest={})),
    ("record", changed(manifest_sha256="0" * 64)),
    ("record", told("deleted", None)),
    ("record", sealed(told("compressed", None), SEAL)),
    ("record", sealed(told("deleted", None, lines=3), seal_of(b"", []))),
]


@pytest.mark.parametrize(("flaw", "bad"), BAD)
def test_a_bad_line_has_exactly_its_own_defect(sample: Sample, flaw: str, bad: bytes | Line) -> None:
    raw = bad if isinstance(bad, bytes) else encode([bad])
    path = sample.put(sample.vault.retention_file(DAY), encode([told("compressed", DATA, ".gz")]) + raw)
    assert found(sample.vault.root) == found(path) == [(path.name, 2, flaw)]
    assert found(sample.vault.root / "raw") == []


@pytest.mark.parametrize(
    ("flaw", "bad"),
    [
        ("record", sealed(told("deleted", DATA), SEAL) | {"manifest_sha256": digest(b"another")}),
        ("record", sealed(told("deleted", DATA + b"{}\n"), SEAL)),
        ("record", sealed(told("deleted", DATA.replace(b"43250.5", b"43250.6")), SEAL)),
        ("record", sealed(told("deleted", None), SEAL)),
        ("path", sealed(told("deleted", DATA, hour=14), SEAL)),
        ("fields", sealed(told("deleted", DATA), b'{"format":1}\n')),
        ("not_compact", b'"manifest":{"format": 1}'),
    ],
)
def test_a_manifest_in_a_tombstone_is_checked_like_any_other(sample: Sample, flaw: str, bad: bytes | Line) -> None:
    """Nothing is said of the hour itself: it went with this line."""
    if isinstance(bad, bytes):
        line = sealed(told("deleted", DATA), bad.partition(b":")[2])
        raw = encode([line]).replace(b'"manifest":{"format":1}', bad)
        line_sha = line["manifest_sha256"].encode()
        raw = raw.replace(line_sha, digest(b'{"format": 1}').encode())
    else:
        raw = encode([bad])
    sample.hour.unlink()
    path = sample.put(sample.vault.retention_file(DAY), raw)
    assert found(sample.vault.root) == [(path.name, 1, flaw)]


def test_a_torn_end(sample: Sample) -> None:
    path = record(sample, told("compressed", DATA, ".gz"))
    path.write_bytes(path.read_bytes() + encode([told("deleted", DATA)])[:-1])
    assert found(sample.vault.root) == [(path.name, 2, "torn_tail")]


def test_a_tombstone_that_cannot_be_read_buries_nothing(sample: Sample) -> None:
    """The line is a defect, and so is the hour that nothing else vouches for any more."""
    sample.hour.unlink()
    path = sample.put(sample.vault.retention_file(DAY), encode([told("compressed", DATA, ".gz")]) + b'{"action"\n')
    assert found(sample.vault.root) == [(path.name, 2, "not_json"), ("15.jsonl", 0, "missing")]


def test_files_beside_the_record_and_links(sample: Sample, tmp_path: Path) -> None:
    elsewhere = sample.put(tmp_path / "elsewhere.jsonl", b"{\n")
    folder = sample.vault.retention_file(DAY).parent
    for name in (".lock", ".reserve", "notes.jsonl", "2026-02-30.jsonl", "2026-11-27.jsonl.gz"):
        sample.put(folder / name, b"{\n")
    assert found(sample.vault.root) == []
    (folder / "2026-11-27.jsonl").symlink_to(elsewhere)
    assert found(sample.vault.root) == [("2026-11-27.jsonl", 0, "link")]
