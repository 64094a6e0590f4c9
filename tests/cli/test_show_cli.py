"""The command `show`: the right line of the right book, its numbers as they are stored."""

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from l2_exporter.cli.show import command
from tests.archive.samples import ASKS, BIDS, DATASET, DAY, HOUR, INST, VENUE, Sample, encode, gap_line, line

LADDER = f"""\
okx:BTC-USDT-SWAP  perp  books  (l2_perps)
time      {DAY}T15:00:11.000Z
received  {DAY}T15:00:11.000999Z
episode   since {DAY}T15:00:08.000Z
sequence  7 after 5
checksum  {{checksum}} (agrees)
flags     none
asks      3 of at most 400
  43260.25    3
  43252     1e1
  43251.0   150
  ---- spread 0.5, mid 43250.75 ----
  43250.5   100
  43250.0     7
  43249       0.5
bids      3 of at most 400"""


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sample:
    sample = Sample(tmp_path / "vault")
    monkeypatch.setenv("L2_VAULT", str(sample.vault.root))
    return sample


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def shown(*arguments: object) -> dict[str, object]:
    """Run with --json and return the line shown."""
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    stored = json.loads(result.stdout)["line"]
    assert isinstance(stored, dict)
    return stored


def time_shown(*arguments: object) -> tuple[object, object]:
    stored = shown(INST, *arguments)
    return stored["timestamp_utc"], stored["gap_detected"]


def test_the_ladder(sample: Sample) -> None:
    result = run(INST)
    assert result.exit_code == 0
    expected = LADDER.format(checksum=line()["checksum"])
    assert [text.rstrip() for text in result.stdout.splitlines()] == [
        f"vault: {sample.vault.root}",
        *expected.splitlines(),
    ]


def test_fewer_levels_are_the_best_ones(sample: Sample) -> None:
    result = run(f"{VENUE}:{INST}", "--levels", 1)
    assert [text.rstrip() for text in result.stdout.splitlines()][9:12] == [
        "  43251.0  150",
        "  ---- spread 0.5, mid 43250.75 ----",
        "  43250.5  100",
    ]


def test_json_is_the_stored_line(sample: Sample) -> None:
    result = run(INST, "--json", "--levels", 2)
    assert result.stderr == f"vault: {sample.vault.root}\n"
    report = json.loads(result.stdout)
    stored = report.pop("line")
    assert report == {"file": str(sample.hour), "venue": VENUE, "dataset": DATASET, "inst": INST, "spread": "0.5"}
    last = line("11.000", live_since_utc=f"{DAY}T15:00:08.000Z", bids_top400=BIDS[:2], asks_top400=ASKS[:2])
    assert list(stored.items()) == list(last.items())


@pytest.mark.parametrize(
    ("at", "time", "gap"),
    [
        ("15:00:01Z", "01.000", False),
        ("15:00:02.999Z", "01.000", False),
        ("15:00:03.000Z", "03.000", False),
        ("15:00:08Z", "05.000", True),
        ("15:59:59Z", "11.000", False),
        ("17:00:00Z", "11.000", False),
    ],
)
def test_the_last_line_at_or_before_a_time(sample: Sample, at: str, time: str, gap: bool) -> None:
    assert time_shown("--at", f"{DAY}T{at}") == (f"{DAY}T15:00:{time}Z", gap)


def test_a_time_in_an_hour_without_lines_before_it_is_answered_by_the_hour_before(sample: Sample) -> None:
    earlier = line(timestamp_utc=f"{DAY}T13:59:59.000Z")
    path = sample.vault.hour_file(VENUE, DATASET, INST, HOUR - 2, ".jsonl.gz")
    sample.put(path, gzip.compress(encode([earlier])))
    assert time_shown("--at", f"{DAY}T15:00:00Z") == (f"{DAY}T13:59:59.000Z", False)
    sample.hour.unlink()
    assert time_shown() == (f"{DAY}T13:59:59.000Z", False)


def test_damaged_lines_are_passed_over(sample: Sample) -> None:
    sample.put(sample.hour, b"{}\n[]\n\n" + encode([line("01.000")]) + b"x\n" + encode([line("03.000")]))
    assert time_shown("--at", f"{DAY}T15:00:30Z") == (f"{DAY}T15:00:03.000Z", False)


def test_a_line_or_file_that_cannot_be_read_is_told(sample: Sample) -> None:
    sample.put(sample.hour, encode([line("01.000", bids_top400=[["1"]])]))
    for _ in range(2):
        result = run(INST)
        assert result.exit_code == 1
        assert str(sample.hour) in result.stderr
        sample.hour.unlink(missing_ok=True)
        sample.hour = sample.put(sample.hour.with_name("15.jsonl.gz"), b"not gzip")


def test_odd_books(sample: Sample) -> None:
    empty = {"best_bid": None, "mid_price": None, "received_utc": None, "checksum": None, "checksum_ok": None}
    sample.put(sample.hour, encode([gap_line("01.000", bids_top400=[], **empty)]))
    text = run(INST).stdout
    assert "spread none, mid none" in text
    assert "received  unknown" in text
    assert "checksum  None (not checked)" in text
    assert "flags     gap" in text
    crossed = {"asks_top400": [["43250.25", "1", "0", "1"]], "best_ask": "43250.25", "flags": ["crossed"]}
    sample.put(sample.hour, encode([line("01.000", **crossed)]))
    assert "spread -0.25," in run(INST).stdout


def test_several_books_are_listed(sample: Sample) -> None:
    other = sample.vault.hour_file(VENUE, "l2_perps.books5", INST, HOUR)
    sample.put(other, encode([line("59.000")]))
    result = run(INST)
    assert result.exit_code == 2
    assert "okx:BTC-USDT-SWAP --dataset l2_perps\n  okx:BTC-USDT-SWAP --dataset l2_perps.books5\n" in result.stderr
    assert time_shown("--dataset", "l2_perps.books5") == (f"{DAY}T15:00:59.000Z", False)
    assert time_shown("--dataset", "l2_perps") == (f"{DAY}T15:00:11.000Z", False)


def test_a_book_that_is_not_there_is_answered_by_near_ones(sample: Sample) -> None:
    sample.put(sample.vault.hour_file("bitfinex", "l2_spot", "tAAVE:USD", HOUR), encode([line()]))
    for name in ("btc-usdt-swap", "okx:BTC-USD-SWAP", "BTC", "okx:BTC-USDT-SWAPS"):
        result = run(name)
        assert result.exit_code == 2
        assert f"  okx:{INST} --dataset {DATASET}\n" in result.stderr
        assert "tAAVE" not in result.stderr
    assert shown("tAAVE:USD") == shown("bitfinex:tAAVE:USD")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ZZZZ",), "ZZZZ is not in"),
        (
            (INST, "--dataset", "l2_spot"),
            "is not in dataset l2_spot; it is in:\n  okx:BTC-USDT-SWAP --dataset l2_perps",
        ),
        ((INST, "--at", f"{DAY}T15:00:00Z"), "has no line in"),
        ((INST, "--at", "yesterday"), "'yesterday' is not a UTC time such as"),
        ((INST, "--levels", "0"), "--levels"),
        ((INST, "--vault", "elsewhere"), "is not in"),
    ],
)
def test_what_cannot_be_shown(sample: Sample, arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_the_vault_is_the_option_else_the_environment_else_beside_us(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(INST).stdout.startswith(f"vault: {sample.vault.root}\n")
    monkeypatch.setenv("L2_VAULT", str(tmp_path / "other"))
    assert run(INST, "--vault", sample.vault.root).exit_code == 0
    assert run(INST).exit_code == 2
    monkeypatch.delenv("L2_VAULT")
    monkeypatch.chdir(tmp_path)
    assert run(INST).stdout.startswith(f"vault: {tmp_path / 'vault'}\n")
    monkeypatch.setenv("L2_VAULT", "")
    assert run(INST).exit_code == 0


def test_help_has_an_example() -> None:
    assert f"l2-exporter show okx:{INST} --at 2026-11-21T15:30:45Z" in run("--help").stdout
