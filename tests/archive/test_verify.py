"""Verifying: a sound archive has no defect, and each way of spoiling it is told by its own word at its own place."""

import gzip
import hashlib
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
    Line,
    Sample,
    encode,
    entry,
    gap_line,
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
    source = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_verify*.py"))
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


def test_order_books_by_order_have_no_line_contract_yet(sample: Sample) -> None:
    sample.put(sample.vault.hour_file(VENUE, "l3_spot", INST, HOUR), b'{"order":1}\n{"order":2\n')
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


def test_links_are_not_followed_but_for_a_vault_moved_to_another_disk(sample: Sample, tmp_path: Path) -> None:
    sample.put(sample.hour, b"x\n")
    (sample.hour.parent / "16.jsonl").symlink_to(sample.hour)
    (sample.hour.parents[1] / "2026-11-27").symlink_to(sample.hour.parent)
    assert found(sample.vault.root) == [("15.jsonl", 1, "not_json")]
    (sample.vault.root / "raw").rename(tmp_path / "elsewhere")
    (sample.vault.root / "raw").symlink_to(tmp_path / "elsewhere")
    assert found(sample.vault.root) == [("15.jsonl", 1, "not_json")]


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


@pytest.mark.parametrize(
    ("second", "inside"),
    [("04.999", False), ("05.000", False), ("05.001", True), ("07.999", True), ("08.000", False), ("09.000", False)],
)
def test_no_ordinary_line_inside_a_declared_gap(sample: Sample, second: str, inside: bool) -> None:
    sample.put(sample.hour, encode([line(second)]))
    assert found(sample.hour) == ([("15.jsonl", 1, "in_gap")] if inside else [])


def test_gaps_that_overlap_and_gaps_of_other_books(sample: Sample) -> None:
    def loss(ident: str, since: str, until: str, **changes: object) -> list[Line]:
        began = {"id": ident, "reason": "stale", "since_event": f"{DAY}T15:00:{since}Z", **changes}
        return [entry("gap", **began), entry("live", **began, until_event=f"{DAY}T15:00:{until}Z")]

    declared = [
        *loss("a", "10.000", "20.000"),
        *loss("b", "12.000", "14.000"),
        *loss("c", "20.000", "22.000"),
        *loss("d", "31.000", "30.000"),
        *loss("e", "40.000", "50.000", instId="ETH-USDT-SWAP"),
        *loss("f", "40.000", "50.000", detail={"dataset": "l2_perps.books5"}),
        entry("gap", id="g", reason="stale", since_event=f"{DAY}T15:00:51.000Z"),
    ]
    sample.put(sample.ledger, encode(declared))
    times = ["10.000", "13.000", "15.000", "19.999", "20.000", "21.000", "22.000", "30.500", "45.000", "52.000"]
    sample.put(sample.hour, encode([line(second) for second in times]))
    assert found(sample.vault.root) == [("15.jsonl", number, "in_gap") for number in (2, 3, 4, 6)]


def test_every_gap_line_is_in_the_ledger(sample: Sample) -> None:
    sample.put(sample.hour, encode([gap_line("04.000"), gap_line("05.000")]))
    assert found(sample.vault.root) == [("15.jsonl", 1, "gap_undeclared")]
    sample.put(sample.ledger, encode([entry("gap", **LOSS, detail={"dataset": "l2_spot"})]))
    assert found(sample.vault.root) == [("15.jsonl", 1, "gap_undeclared"), ("15.jsonl", 2, "gap_undeclared")]


def test_a_ledger_that_was_deleted_condemns_nothing(sample: Sample) -> None:
    """Neither the ledger's older files nor the whole of it need be there."""
    sample.put(sample.hour, encode([gap_line("04.000")]))
    began = {**LOSS, "since_received": "2026-11-25T23:59:59.000000Z"}
    sample.put(sample.ledger, encode([entry("live", **began, **END)]))
    assert found(sample.vault.root) == [("15.jsonl", 1, "gap_undeclared")]
    sample.ledger.rename(sample.ledger.with_name("2026-11-27.jsonl"))
    assert found(sample.vault.root / "raw") == []
    sample.ledger.with_name("2026-11-27.jsonl").unlink()
    assert found(sample.vault.root) == []


def test_a_gap_may_end_in_another_file(sample: Sample) -> None:
    """On a later day, or on an earlier one when the clock was set back in between."""
    at = {"at": "2026-11-25T23:59:59.000000Z"}
    ends = encode([entry("live", **LOSS, **END) | at])
    sample.put(sample.ledger, encode([entry("gap", **LOSS)]))
    sample.put(sample.ledger.with_name("2026-11-25.jsonl"), ends)
    sample.put(sample.hour, encode([line("06.000")]))
    assert found(sample.vault.root) == [("15.jsonl", 1, "in_gap")]


# ---- manifests ---------------------------------------------------------------------------------------------


def seal(sample: Sample, **changes: object) -> None:
    sample.put(sample.manifest, encode([manifest(sample.hour.read_bytes(), lines(), **changes)]))


def test_a_manifest_that_fits(sample: Sample) -> None:
    seal(sample)
    assert found(sample.vault.root) == []
    data = sample.hour.read_bytes()
    sample.hour.unlink()
    assert found(sample.vault.root) == []
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

    first = put(16, "0" * 64)
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
