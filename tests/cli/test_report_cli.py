"""The command `report`: figures of a small vault worked out by hand, and the exit code a scheduler acts on."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from l2_exporter.archive import report as reports
from l2_exporter.archive.report_hour import look, percentiles
from l2_exporter.cli.report import command
from tests.archive.samples import encode, line
from tests.tools.recorded import DAY, SEALED, Run, record, steps

LEDGER = Path(f"meta/okx/events/{DAY}.jsonl")
BOOK = Path(f"raw/okx/l2_perps/BTC-USDT-SWAP/{DAY}")


def run(vault: Path, *arguments: object) -> Result:
    return CliRunner().invoke(command, ["--vault", str(vault), *map(str, arguments)])


def told(vault: Path, *arguments: object) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(run(vault, "--json", *arguments).stdout)
    return report


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return record(tmp_path / "vault", tape=False)


def test_a_day_with_a_loss_and_a_restart(vault: Path) -> None:
    """10:59:40 to 13:00:09 was to be recorded; live from :41 to :48, from :54 to 12:00:05, from 12:30:02 on."""
    result = run(vault)
    assert result.exit_code == 1
    size = sum(path.stat().st_size for path in (vault / BOOK).iterdir())
    report = told(vault)
    (day,) = report["days"]
    assert (day["asked_s"], day["live_s"]) == (7_229, 7_229 - 1 - 6 - 1_797)
    assert day["coverage"] == pytest.approx(100 * 5_425 / 7_229, abs=1e-4)
    assert [(loss["reason"], loss["lost_s"], loss["until"]) for loss in day["losses"]] == [
        ("sequence", 6, f"{DAY}T10:59:54.000000Z"),
        ("restart", 1_797, f"{DAY}T12:30:02.000000Z"),
    ]
    assert (day["resyncs"], day["checksums"]) == ({"resubscribe": 1}, {"ok": 0, "mismatch": 0, "unchecked": 24})
    assert day["latency_ms"] == {"p50": 50.0, "p90": 50.0, "p99": 50.0, "max": 50.0}
    assert (day["silence_s"], day["silence_from"]) == (3_588, f"{DAY}T11:00:13.000Z")
    assert (day["lines"], day["hours"], day["bytes"]) == (24, 4, size)
    assert day["look"] == ["coverage is below 99 %"]
    assert report["disk"]["bytes_a_day"] == pytest.approx(size * 86_400 / 7_229, abs=1)
    assert result.stdout.splitlines()[2:10] == [
        f"okx:BTC-USDT-SWAP  l2_perps  {DAY}",
        "  coverage   75.04 % of 2 h 0 min 29 s: 30 min 4 s not live",
        "  losses     1 restart (29 min 57 s), 1 sequence (6.0 s)",
        "  resyncs    1 resubscribe",
        "  checksums  0 right, 0 wrong, 24 not checked",
        "  latency    p50 50 ms, p90 50 ms, p99 50 ms, max 50 ms",
        f"  silence    at most 59 min 48 s between lines while live, from {DAY}T11:00:13.000Z",
        f"  disk       {size / 1000:.3g} kB for 24 lines in 4 hours",
    ]


def test_exit_codes(vault: Path) -> None:
    assert run(vault, "--min-coverage", 75).exit_code == 0
    assert run(vault, "--min-coverage", 75.1).exit_code == 1
    for arguments in (["--min-coverage", 101], ["--from", "yesterday"], ["ETH"], ["--to", "2020-01-01"]):
        assert run(vault, *arguments).exit_code == 2
    assert run(vault, "--from", "2026-11-22", "--to", DAY).exit_code == 2
    assert run(vault / "nothing").exit_code == 2


@pytest.mark.parametrize(
    ("kind", "inst", "said"),
    [
        ("suspect", "BTC-USDT-SWAP", "suspect, once"),
        ("write_suspended", "BTC-USDT-SWAP", "write_suspended, once"),
        ("schema_break", None, f"LOOK: okx {DAY}: schema_break, once"),
        ("write_suspended", None, f"LOOK: okx {DAY}: write_suspended, once"),
    ],
)
def test_what_somebody_should_look_at(vault: Path, kind: str, inst: str | None, said: str) -> None:
    entry = {"at": f"{DAY}T12:45:00.000000Z", "kind": kind, "instId": inst, "detail": {"dataset": "l2_perps"}}
    with (vault / LEDGER).open("a") as file:
        file.write("no JSON\n" + json.dumps(entry) + "\n")
    result = run(vault, "--min-coverage", 0)
    assert result.exit_code == 1
    assert said in result.stdout


def test_compressed_hours_tell_the_same_on_every_number_of_processes(
    vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = told(vault)["days"]
    for hour in ("10", "11"):
        path = vault / BOOK / f"{hour}.jsonl"
        path.with_suffix(".jsonl.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    monkeypatch.setattr(reports, "PROCESSES_FROM_BYTES", 0)
    after = told(vault, "--jobs", 2)["days"]
    assert [{**day, "bytes": 0} for day in after] == [{**day, "bytes": 0} for day in before]


def test_a_damaged_hour_needs_a_look(vault: Path) -> None:
    path = vault / BOOK / "11.jsonl"
    path.with_suffix(".jsonl.gz").write_bytes(gzip.compress(path.read_bytes())[:-9])
    path.unlink()
    (look_at,) = told(vault, "--min-coverage", 0)["days"][0]["look"]
    assert look_at.startswith(f"damaged: {path}.gz is damaged")


def test_a_ledger_that_retention_deleted_leaves_the_manifests(vault: Path) -> None:
    (vault / LEDGER).unlink()
    (day,) = told(vault)["days"]
    assert [loss["reason"] for loss in day["losses"]] == ["sequence", "restart"]
    assert day["asked_s"] - day["live_s"] == 59 * 60 + 41 + 6 + 1_797  # when it began to record is not known any more


def test_a_day_on_which_nothing_ran_is_not_left_out(tmp_path: Path) -> None:
    vault = record(tmp_path, [Run("10:59:40", SEALED[0].frames, "12:00:20")], tape=False)
    later = vault / BOOK.parent / "2026-11-23"
    later.mkdir()
    (later / "09.jsonl").write_bytes((vault / BOOK / "10.jsonl").read_bytes().replace(b"2026-11-21", b"2026-11-23"))
    entry = {
        "kind": "gap",
        "instId": "BTC-USDT-SWAP",
        "id": "r",
        "reason": "restart",
        "detail": {"dataset": "l2_perps"},
    }
    entry |= {"at": "2026-11-23T09:00:00.000000Z", "since_event": f"{DAY}T12:00:06.000Z"}
    (vault / LEDGER.with_name("2026-11-23.jsonl")).write_text(json.dumps(entry) + "\n")
    days = told(vault)["days"]
    assert [(day["day"], day["coverage"] == 0, day["lines"]) for day in days][1:] == [
        ("2026-11-22", True, 0),
        ("2026-11-23", True, 8),
    ]
    assert days[1]["losses"][0] == {
        "reason": "restart",
        "from": f"{DAY}T12:00:06.000000Z",
        "until": None,
        "lost_s": 86_400.0,
    }


def test_origins_other_than_live_and_a_dead_book(tmp_path: Path) -> None:
    vault = record(tmp_path, [Run("10:59:40", steps("10:59:41", 30, 1), "11:40:00")], tape=False)
    path = vault / BOOK / "10.manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"origin":"live"', b'"origin":"replay"'))
    result = run(vault, "okx:BTC-USDT-SWAP", "--from", DAY, "--to", DAY)
    assert "  origin     replay, not live: hours 10\n" in result.stdout
    assert "dead: no line in the last 39 min 50 s, though live" in result.stdout


def test_latency_can_be_negative_and_unknown(tmp_path: Path) -> None:
    path = tmp_path / "15.jsonl"
    received = ["15:00:00.900000", "15:00:02.064321", "15:00:45.000000"]
    lines = [
        line(second, received_utc=None if at is None else f"2026-11-26T{at}Z")
        for second, at in zip(("01.000", "02.000", "03.000", "04.000"), [*received, None], strict=True)
    ]
    path.write_bytes(encode(lines) + b'{"timestamp_utc":"no line of ours"}\n')
    seen = look(path)
    assert (seen.lines, sorted(seen.late)) == (4, [-100_000_000, 64_300_000, 42_000_000_000])
    assert [*percentiles(seen.late, (0.01, 0.5, 1.0))] == [-100_000_000, 64_300_000, 42_000_000_000]
    assert [*percentiles(type(seen.late)(), (0.5, 1.0))] == [None, None]


def test_help_has_an_example() -> None:
    result = CliRunner().invoke(command, ["--help"])
    assert "l2-exporter report --from 2026-11-20 --to 2026-11-20 BTC-USDT-SWAP" in result.stdout
