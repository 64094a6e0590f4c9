"""Verifying: a sound archive has no defect, and each way of spoiling it is told by its own word at its own place."""

import gzip
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from l2_exporter.archive.defects import Flaw
from l2_exporter.archive.verify import Verification, verify
from l2_exporter.archive.verify_select import select
from tests.archive.samples import (
    DATASET,
    DAY,
    END,
    HOUR,
    INST,
    LOSS,
    RULES,
    START,
    VENUE,
    Sample,
    encode,
    entry,
    ledger,
    line,
    lines,
    manifest,
)


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return Sample(tmp_path / "vault")


def found(path: Path) -> list[tuple[str, int, str]]:
    """Verify a path; tell file name, line and word of each defect."""
    return [(defect.path.name, defect.line, str(defect.reason)) for defect in verify([path], RULES)]


def test_a_sound_archive(sample: Sample) -> None:
    assert found(sample.vault.root) == []


def test_the_word_list_is_closed_and_every_word_is_provoked() -> None:
    files = Path(__file__).parents[1].glob("*/test_verify*.py")
    source = "".join(path.read_text(encoding="utf-8") for path in files)
    assert [flaw for flaw in Flaw if f'"{flaw}"' not in source] == []


# ---- files -------------------------------------------------------------------------------------------------


def pack_zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


@pytest.mark.parametrize(("suffix", "pack"), [(".jsonl.gz", gzip.compress), (".jsonl.zst", pack_zstd)])
def test_compressed_hours(sample: Sample, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    spoilt = lines()
    spoilt[1]["mid_price"] = "1"
    sample.hour.unlink()
    sample.put(sample.hour.with_suffix(suffix), pack(encode(spoilt)))
    assert found(sample.vault.root) == [(f"15{suffix}", 2, "mid")]


def test_a_torn_tail_and_the_lines_before_it(sample: Sample) -> None:
    spoilt = lines()
    spoilt[0]["best_ask"] = None
    sample.put(sample.hour, encode(spoilt) + b'{"timestamp_utc"')
    assert found(sample.hour) == [("15.jsonl", 1, "best"), ("15.jsonl", 6, "torn_tail")]


def test_a_damaged_file_is_one_defect_and_the_rest_is_checked(sample: Sample) -> None:
    packed = gzip.compress(encode([line()] * 2000), 1)
    damaged = sample.put(sample.vault.hour_file(VENUE, DATASET, INST, HOUR - 1, ".jsonl.gz"), b"")
    spoilt = encode([line("01.000"), line("01.000")])
    sample.put(sample.vault.hour_file(VENUE, DATASET, INST, HOUR + 1), b"")
    for content in (b"", packed[:5], b"\x1f\x8b rubbish", b"not gzip"):
        sample.put(damaged, content)
        sample.put(sample.hour, spoilt)
        assert found(sample.vault.root / "raw") == [("14.jsonl.gz", 0, "damaged"), ("15.jsonl", 2, "order")]


def test_the_same_hour_in_two_files(sample: Sample) -> None:
    sample.put(sample.hour.with_suffix(".jsonl.gz"), gzip.compress(sample.hour.read_bytes()))
    assert found(sample.vault.root) == [("15.jsonl.gz", 0, "two_suffixes")]


def test_foreign_files(sample: Sample) -> None:
    for name in ("15.torn", ".tmp-15-77", "notes.txt", "1.jsonl", "copy of 15.jsonl.gz"):
        sample.put(sample.hour.with_name(name), b"rubbish")
    assert found(sample.vault.root) == [("1.jsonl", 0, "foreign_file"), ("copy of 15.jsonl.gz", 0, "foreign_file")]
    assert [path.name for path in select([sample.vault.root]).foreign] == ["notes.txt"]


def test_a_dataset_of_no_market_has_no_line_contract(sample: Sample) -> None:
    sample.put(sample.vault.hour_file(VENUE, "l3_other", INST, HOUR), b'{"order":1}\n{"order":2\n')
    assert found(sample.vault.root) == [("15.jsonl", 2, "not_json")]


@pytest.mark.parametrize("depth", range(7))
def test_any_folder_of_the_vault(sample: Sample, depth: int) -> None:
    spoilt = lines()
    spoilt[1]["mid_price"] = "1"
    sample.put(sample.hour, encode(spoilt))
    path = [sample.hour, *sample.hour.parents][depth]
    assert found(path) == [("15.jsonl", 2, "mid")]
    assert found(path / ".." / path.name) == [("15.jsonl", 2, "mid")]


def test_several_paths_are_read_once(sample: Sample) -> None:
    run = Verification(select([sample.hour, sample.vault.root, sample.ledger]), RULES)
    assert list(run.run()) == []
    assert (run.files, run.lines) == (2, 5)


def test_links_are_told_and_not_followed_but_for_a_vault_moved_to_another_disk(sample: Sample, tmp_path: Path) -> None:
    sample.put(sample.hour, b"x\n")
    file, folder = sample.hour.with_name("16.jsonl"), sample.hour.parents[1] / "2026-11-27"
    file.symlink_to(sample.hour)
    sample.hour.with_name("17.jsonl.gz").symlink_to(tmp_path / "gone")
    sample.hour.with_name("notes.txt").symlink_to(sample.hour)
    folder.symlink_to(sample.hour.parent)
    (sample.vault.root / "elsewhere").symlink_to(tmp_path)
    links = [("16.jsonl", 0, "link"), ("17.jsonl.gz", 0, "link"), ("2026-11-27", 0, "link")]
    assert found(sample.vault.root) == [*links, ("15.jsonl", 1, "not_json")]
    assert found(file) == links[:1]
    (sample.vault.root / "raw").rename(tmp_path / "moved")
    (sample.vault.root / "raw").symlink_to(tmp_path / "moved")
    assert found(sample.vault.root) == [*links, ("15.jsonl", 1, "not_json")]


def test_a_vault_without_a_ledger_is_one_defect(sample: Sample) -> None:
    sample.put(sample.hour.with_name("16.jsonl"), b"")
    sample.ledger.unlink()
    expected = [("events", 0, "no_ledger")]
    assert found(sample.vault.root) == found(sample.hour.parent) == found(sample.hour) == expected
    shutil.rmtree(sample.vault.root / "meta")
    assert found(sample.vault.root) == found(sample.hour.parent) == expected
    assert found(sample.hour) == []


def test_a_path_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(verify([tmp_path / "gone"], RULES))


# ---- the ledger --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flaw", "bad"),
    [
        ("not_json", b"{\n"),
        ("not_compact", b'{"at": 1}\n'),
        ("fields", encode([entry("started", conn=...)])),
        ("type", encode([entry("started", detail=[])])),
        ("type", encode([entry("checksum_mismatch", got=1.5)])),
        ("time", encode([entry("started", at="15:00:00.000")])),
        ("time", encode([entry("gap", **LOSS | {"id": "g2", "since_event": "yesterday"})])),
        ("date", encode([entry("started") | {"at": "2026-11-27T00:00:00.000000Z"}])),
        ("venue", encode([entry("started", venue="kraken")])),
        ("kind", encode([entry("exploded")])),
        ("kind", encode([entry("gap", **LOSS | {"id": "g2", "reason": "mood"})])),
        ("gap_id", encode([entry("gap", **LOSS | {"id": None})])),
        ("gap_id", encode([entry("gap", **LOSS)])),
        ("gap_id", encode([entry("gap", **LOSS | {"id": "g2"}, detail=None)])),
        ("live_id", encode([entry("live", **LOSS | END | {"id": "g3"})])),
        ("live_id", encode([entry("live", **LOSS | END | {"id": "g3", "reason": "restart"})])),
        ("live_id", encode([entry("live", **LOSS | END, instId="ETH-USDT-SWAP")])),
        ("torn_tail", b'{"at":'),
    ],
)
def test_a_bad_ledger_line_has_exactly_its_own_defect(sample: Sample, flaw: str, bad: bytes) -> None:
    sample.put(sample.ledger, encode(ledger()) + bad)
    expected = [(sample.ledger.name, 5, flaw)]
    assert found(sample.vault.root) == expected
    assert found(sample.ledger) == expected
    assert found(sample.vault.root / "meta") == expected
    assert found(sample.vault.root / "raw") == []


# ---- manifests ---------------------------------------------------------------------------------------------


def seal(sample: Sample, **changes: object) -> None:
    sample.put(sample.manifest, encode([manifest(sample.hour.read_bytes(), lines(), **changes)]))


def test_a_manifest_that_fits(sample: Sample) -> None:
    seal(sample)
    assert found(sample.vault.root) == []
    data = sample.hour.read_bytes()
    sample.hour.unlink()
    assert found(sample.vault.root) == [("15.jsonl", 0, "missing")]
    sample.put(sample.hour.with_suffix(".jsonl.gz"), gzip.compress(data))
    assert found(sample.vault.root) == []


@pytest.mark.parametrize(
    ("flaw", "changes"),
    [
        ("manifest", {"lines": 4}),
        ("manifest", {"bytes": 4}),
        ("manifest", {"sha256": "0" * 64}),
        ("manifest", {"first_utc": None}),
        ("manifest", {"last_utc": START}),
        ("manifest", {"seq_first": 6}),
        ("manifest", {"seq_last": None}),
        ("manifest", {"flags": {"gap": 2, "after_gap": 1}}),
        ("path", {"venue": "kraken"}),
        ("path", {"dataset": "l2_spot"}),
        ("path", {"inst": "ETH-USDT-SWAP"}),
        ("path", {"hour_utc": f"{DAY}T16:00:00.000Z"}),
        ("time", {"hour_utc": DAY}),
        ("type", {"not_live_s": None}),
    ],
)
def test_a_manifest_that_does_not_fit(sample: Sample, flaw: str, changes: dict[str, object]) -> None:
    seal(sample, **changes)
    assert found(sample.vault.root) == [("15.manifest.json", 0, flaw)]


def test_a_manifest_that_cannot_be_read(sample: Sample) -> None:
    sample.put(sample.manifest, b"{")
    assert found(sample.vault.root) == [("15.manifest.json", 0, "not_json")]


def test_a_manifest_of_a_damaged_file_is_not_blamed(sample: Sample) -> None:
    seal(sample)
    packed = gzip.compress(sample.hour.read_bytes())
    sample.hour.unlink()
    sample.put(sample.hour.with_suffix(".jsonl.gz"), packed[:-9])
    assert found(sample.vault.root) == [("15.jsonl.gz", 0, "damaged")]


def test_the_chain_of_manifests(sample: Sample) -> None:
    def put(hour: int, previous: str | None) -> str:
        utc = f"{DAY}T{hour}:00:00.000Z"
        data = encode([manifest(b"", [], hour_utc=utc, previous=previous)])
        sample.put(sample.manifest.with_name(f"{hour}.manifest.json"), data)
        return hashlib.sha256(data).hexdigest()

    sample.hour.unlink()
    first = put(16, None)
    put(18, put(17, first))
    assert found(sample.vault.root) == []
    put(17, None)
    assert found(sample.vault.root) == [("17.manifest.json", 0, "manifest"), ("18.manifest.json", 0, "manifest")]


def test_what_is_not_live_is_named(sample: Sample) -> None:
    seal(sample, origin="replay")
    origins = [entry("connected", detail={"origin": origin}) for origin in ("live", "override", "replay", "override")]
    sample.put(sample.ledger, encode([*origins, *ledger()]))
    run = Verification(select([sample.vault.root]), RULES)
    assert list(run.run()) == []
    assert run.not_live == [(sample.ledger, "override"), (sample.ledger, "replay"), (sample.manifest, "replay")]
    run = Verification(select([sample.hour]), RULES)
    assert list(run.run()) == []
    assert run.not_live == []
