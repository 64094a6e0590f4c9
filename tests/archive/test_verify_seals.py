"""Sealed hours: whatever is changed in them, their manifests or what the ledger says of them is named."""

import gzip
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from l2_exporter.archive import verify as verification
from l2_exporter.archive.defects import Defect
from l2_exporter.archive.schema import MANIFEST_FIELDS, snapshot_fields
from l2_exporter.archive.verify import Verification
from l2_exporter.archive.verify_select import select
from l2_exporter.venues.registry import line_rules
from tests.tools.recorded import DAY, SEALED, Frame, Run, record, steps

BOOK = Path(f"raw/okx/l2_perps/BTC-USDT-SWAP/{DAY}")
LEDGER = Path(f"meta/okx/events/{DAY}.jsonl")
CLEAN = (
    SEALED[0],
    Run("12:30:00", SEALED[1].frames, "13:00:09"),
    Run("13:10:00", steps("13:10:02", 3, 300), "13:10:09"),
)
Found = set[tuple[str, int, str]]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, bytes]:
    """Every file of a vault with hours 10 to 12 sealed and 13 open, by its path."""
    root = record(tmp_path_factory.mktemp("sound"), CLEAN, tape=False)
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def vault(sound: dict[Path, bytes], tmp_path: Path) -> Path:
    for name, data in sound.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return tmp_path


def run(path: Path, jobs: int = 1) -> list[Defect]:
    return [*Verification(select([path]), line_rules(), jobs=jobs, proofs={("okx", "books"): "sequence"}).run()]


def found(path: Path) -> Found:
    return {(defect.path.name, defect.line, str(defect.reason)) for defect in run(path)}


def edited(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a manifest, written as it was."""
    fields = json.loads(path.read_bytes())
    change(fields)
    path.write_bytes(json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode())


def test_what_was_recorded_has_no_defect(vault: Path) -> None:
    assert found(vault) == set()
    assert found(vault / BOOK) == set()
    assert found(vault / BOOK / "11.manifest.json") == set()


# ---- hour files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [field.name for field in snapshot_fields()])
@pytest.mark.parametrize("hour", ["10", "11", "12"])
def test_a_flipped_byte_in_any_field_of_a_line(vault: Path, name: str, hour: str) -> None:
    path = vault / BOOK / f"{hour}.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    line = lines[1]
    key = f'"{name}":'.encode()
    place = line.index(key) + len(key)
    while line[place : place + 1] in (b'"', b"["):
        place += 1
    lines[1] = line[:place] + bytes([line[place] ^ 1]) + line[place + 1 :]
    path.write_bytes(b"".join(lines))
    assert (f"{hour}.manifest.json", 0, "manifest") in found(vault)


def swapped(lines: list[bytes]) -> list[bytes]:
    return [lines[1], lines[0], *lines[2:]]


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[1:],
        lambda lines: lines[:-1],
        lambda lines: [*lines[:2], *lines[1:]],
        swapped,
        lambda _lines: [],
        lambda lines: [line.replace(b"\n", b" \n") for line in lines],
    ],
    ids=["first removed", "last removed", "doubled", "swapped", "emptied", "blanks"],
)
@pytest.mark.parametrize("packed", [False, True])
def test_lines_removed_doubled_or_swapped(
    vault: Path, change: Callable[[list[bytes]], Iterable[bytes]], packed: bool
) -> None:
    path = vault / BOOK / "11.jsonl"
    data = b"".join(change(path.read_bytes().splitlines(keepends=True)))
    path.write_bytes(data)
    if packed:
        path.with_suffix(".jsonl.gz").write_bytes(gzip.compress(data))
        path.unlink()
    assert ("11.manifest.json", 0, "manifest") in found(vault)


def test_an_hour_that_is_gone(vault: Path) -> None:
    (vault / BOOK / "11.jsonl").unlink()
    assert found(vault) == {("11.jsonl", 0, "missing")}
    (vault / BOOK / "11.manifest.json").unlink()
    assert found(vault) == {
        ("11.manifest.json", 0, "missing"),
        ("12.manifest.json", 0, "manifest"),
        ("12.manifest.json", 0, "hole"),
    }
    (vault / BOOK / "12.jsonl").unlink()
    (vault / BOOK / "12.manifest.json").unlink()
    assert found(vault) == {("11.manifest.json", 0, "missing"), ("12.manifest.json", 0, "missing")}


def test_a_line_outside_the_episodes_of_its_manifest(vault: Path) -> None:
    """The hour file, its manifest and the ledger were all made to fit, but for one line in a loss."""
    path = vault / BOOK / "10.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    inside = lines[3].replace(b"10:59:47.000Z", b"10:59:52.000Z", 1)
    assert inside != lines[3]
    path.write_bytes(b"".join([*lines[:5], inside, *lines[5:]]))
    told = {defect.detail for defect in run(vault) if defect.path == path}
    assert told == {"2026-11-21T10:59:52.000Z lies inside a gap of the ledger"}


# ---- manifests -----------------------------------------------------------------------------------------------------

CHANGES: dict[str, Any] = {
    "format": 2,
    "venue": "kraken",
    "dataset": "l2_spot",
    "inst": "ETH-USDT-SWAP",
    "channel": "books5",
    "hour_utc": f"{DAY}T09:00:00Z",
    "origin": "override",
    "lines": 9,
    "depth": 399,
    "cadence_ms": 1000,
    "first_utc": f"{DAY}T10:59:42.000Z",
    "last_utc": f"{DAY}T10:59:58.000Z",
    "seq_first": 9,
    "seq_last": None,
    "continuity": "none",
    "episodes": [],
    "losses": [],
    "not_live_s": 3581.5,
    "checksum": {"ok": 0, "mismatch": 0},
    "messages": {"received": 9, "applied": 8, "duplicate": 0, "before_seed": 0, "rejected": 0, "ignored": 0},
    "flags": {"gap": 1, "after_gap": 2},
    "metadata": {"venue": "okx"},
    "sha256": "0" * 64,
    "bytes": 1,
    "previous": "0" * 64,
    "tool": "",
    "sealed": "later",
}


@pytest.mark.parametrize("name", [field.name for field in MANIFEST_FIELDS])
def test_any_field_of_a_manifest_is_named(vault: Path, name: str) -> None:
    """Without the ledger's digest of it, so that each field has to be found wrong by itself."""
    ledger = vault / LEDGER
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join(line for line in lines if b'"kind":"stopped"' not in line))
    path = vault / BOOK / "10.manifest.json"
    edited(path, lambda fields: fields.update({name: CHANGES[name]}))
    told = [(str(defect.reason), defect.detail) for defect in run(vault) if defect.path == path]
    by_digest = ("origin", "cadence_ms", "sealed", "tool")  # nothing but ledger and settings of the run tells of these
    if name in ("venue", "dataset", "inst", "hour_utc"):
        assert [reason for reason, _ in told] == ["path"]
    elif name == "previous":
        assert [reason for reason, _ in told] == ["seal", "missing"]
    elif name in by_digest and name != "tool":
        assert [reason for reason, _ in told][:1] in (["seal"], ["manifest"])
    elif name in ("losses", "episodes"):
        assert {reason for reason, _ in told} <= {"seal", "manifest", "windows"} != set()
    else:
        assert told[0][0] == "manifest"
        assert told[0][1].startswith((f"{name} is", f"{name}:"))


@pytest.mark.parametrize("hour", ["10", "11", "12"])
def test_a_flipped_byte_anywhere_in_a_manifest(vault: Path, hour: str) -> None:
    path = vault / BOOK / f"{hour}.manifest.json"
    data = path.read_bytes()
    for place in range(0, len(data), 7):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert path.name in {name for name, _, _ in found(path)}, data[place - 20 : place + 20]


NOT_IN_LEDGER: list[tuple[str, Any, str]] = [
    ("losses", lambda fields: fields["losses"][0].update(id="other"), "losses"),
    ("reason", lambda fields: fields["losses"][0].update(reason="stale"), "losses"),
    ("until", lambda fields: fields["losses"][0].update(until=f"{DAY}T10:59:53.000Z"), "losses"),
    ("episode", lambda fields: fields["episodes"][0].update({"from": f"{DAY}T10:59:41.500Z"}), "episodes"),
]


@pytest.mark.parametrize(
    ("change", "named"), [case[1:] for case in NOT_IN_LEDGER], ids=[case[0] for case in NOT_IN_LEDGER]
)
def test_windows_that_are_not_those_of_the_ledger(vault: Path, change: Any, named: str) -> None:
    """A manifest that fits itself and that no line of the ledger vouches for, as after a kill."""
    root = record(vault / "killed", [Run("10:59:40", SEALED[0].frames)], tape=False)
    ledger = root / LEDGER
    kept = [line for line in ledger.read_bytes().splitlines(keepends=True) if b'"kind":"sealed"' not in line]
    ledger.write_bytes(b"".join(kept))
    assert found(root) == set()

    def both(fields: dict[str, Any]) -> None:
        change(fields)
        if named == "episodes":
            fields["not_live_s"] += 0.5

    edited(root / BOOK / "10.manifest.json", both)
    (windows,) = [defect for defect in run(root) if str(defect.reason) == "windows"]
    assert (windows.path.name, windows.detail.startswith(f"{named} is")) == ("10.manifest.json", True)


def test_metadata_that_no_history_holds(vault: Path) -> None:
    instruments = vault / "meta/okx/instruments"
    instruments.mkdir()
    known = {"venue": "okx", "inst": "BTC-USDT-SWAP", "symbol": None, "base": None, "quote": None, "settle": None}
    known |= {"market": "perp", "kind": None, "size_unit": None, "contract_value": "0.01", "contract_value_ccy": None}
    known |= dict.fromkeys(("tick", "lot", "state", "list_utc", "expiry_utc", "strike", "right")) | {"raw": {}}
    history = instruments / "BTC-USDT-SWAP.history.jsonl"
    history.write_text(json.dumps({"valid_from": f"{DAY}T00:00:00.000000Z", **known}) + "\n")
    path = vault / BOOK / "12.manifest.json"
    details = []
    for value in ("0.01", "0.1"):
        edited(path, lambda fields, value=value: fields.update(metadata=known | {"contract_value": value}))
        details.append([defect.detail for defect in run(path) if str(defect.reason) == "manifest"])
    assert details[0] == []
    assert details[1][0].endswith("not in the instrument's history")


# ---- the ledger ----------------------------------------------------------------------------------------------------


def test_every_ledger_line_that_tells_of_data_is_missed(vault: Path) -> None:
    """A line that only tells of connections, and the beginning of a run after a kill, leave no trace elsewhere."""
    ledger = vault / LEDGER
    lines = ledger.read_bytes().splitlines(keepends=True)
    unnoticed = []
    for number, line in enumerate(lines):
        ledger.write_bytes(b"".join([*lines[:number], *lines[number + 1 :]]))
        if not found(vault):
            entry = json.loads(line)
            unnoticed.append((entry["kind"], entry["detail"] and entry["detail"].get("hour_utc")))
    assert unnoticed == [
        *(("started", None), ("connected", None), ("canary", None), ("resync", None)),
        ("sealed", f"{DAY}T11:00:00Z"),  # behind it the recorder was killed, perhaps before it could say so
        *(("started", None), ("connected", None), ("canary", None)),
        ("sealed", f"{DAY}T12:00:00Z"),
        ("stopped", None),
        *(("connected", None), ("canary", None), ("stopped", None)),
    ]


def test_the_words_for_it(vault: Path) -> None:
    ledger = vault / LEDGER
    lines = ledger.read_bytes().splitlines(keepends=True)
    places = {json.loads(line)["kind"]: number for number, line in enumerate(lines)}  # the last of each
    without_start = [*lines[: places["started"]], *lines[places["started"] + 1 :]]
    ledger.write_bytes(b"".join(without_start))
    assert found(vault) == {(ledger.name, places["started"] + 1, "run")}
    without_seal = [line for line in lines if b'"kind":"sealed"' not in line or b"T10:00" not in line]
    ledger.write_bytes(b"".join(without_seal))
    assert found(vault) == {("10.manifest.json", 0, "seal")}
    spoilt = [line.replace(b'"manifest_sha256"', b'"manifest"') for line in lines]
    ledger.write_bytes(b"".join(spoilt))
    assert {reason for name, _, reason in found(vault) if name == ledger.name} == {"seal"}


@pytest.mark.parametrize("field", ["lines", "sha256", "manifest_sha256", "hour_utc", "reason"])
def test_a_sealed_line_that_says_something_else(vault: Path, field: str) -> None:
    ledger = vault / LEDGER
    lines = [json.loads(line) for line in ledger.read_bytes().splitlines()]
    line = next(line for line in lines if line["kind"] == "sealed")
    values = {"lines": 5, "hour_utc": f"{DAY}T09:00:00Z"}
    (line if field == "reason" else line["detail"])[field] = values.get(field, "later")
    ledger.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    named = {(name, reason) for name, _, reason in found(vault)}
    assert ("10.manifest.json", "seal") in named
    assert (("09.manifest.json", "missing") in named) is (field == "hour_utc")


# ---- seals and holes -----------------------------------------------------------------------------------------------


def test_an_hour_that_was_never_sealed(vault: Path) -> None:
    manifest = vault / BOOK / "11.manifest.json"
    ledger = vault / LEDGER
    manifest.unlink()
    kept = [line for line in ledger.read_bytes().splitlines(keepends=True) if b"T11:00:00Z" not in line]
    ledger.write_bytes(b"".join(kept))
    assert found(vault) == {("11.jsonl", 0, "unsealed"), ("12.manifest.json", 0, "manifest")}


def test_hours_in_which_nothing_ran_are_no_hole(tmp_path: Path) -> None:
    runs = [
        Run("10:59:40", [*steps("10:59:41", 30, 1)], "11:00:15"),
        Run("15:00:00", [*steps("15:59:50", 20, 100)], "16:00:20"),
    ]
    assert found(record(tmp_path, runs, tape=False)) == set()
    names = sorted(path.name for path in tmp_path.rglob("*.manifest.json"))
    assert names == ["10.manifest.json", "11.manifest.json", "15.manifest.json"]


def test_hours_of_silence_are_sealed_and_no_hole(tmp_path: Path) -> None:
    frames = [*steps("10:59:41", 30, 1), Frame("14:00:01", 31, 30), Frame("14:00:04", 32, 31)]
    assert found(record(tmp_path, [Run("10:59:40", frames, "14:00:09")])) == set()
    assert len([*tmp_path.rglob("*.manifest.json")]) == 4


# ---- all cores -----------------------------------------------------------------------------------------------------


def test_the_same_defects_in_the_same_order_on_every_number_of_processes(
    vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "PROCESSES_FROM_BYTES", 0)
    for hour in ("10", "12"):
        path = vault / BOOK / f"{hour}.jsonl"
        path.write_bytes(path.read_bytes().replace(b'"best_bid":"100"', b'"best_bid":"101"'))
    packed = gzip.compress((vault / BOOK / "11.jsonl").read_bytes())
    (vault / BOOK / "11.jsonl").unlink()
    (vault / BOOK / "11.jsonl.gz").write_bytes(packed[:-12])
    alone = run(vault)
    assert list(dict.fromkeys(defect.path.name for defect in alone)) == [
        *("10.jsonl", "11.jsonl.gz", "12.jsonl", "10.manifest.json", "12.manifest.json"),
    ]
    assert run(vault, jobs=2) == alone
