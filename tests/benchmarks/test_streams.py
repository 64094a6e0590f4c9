"""What speed is measured on is what venues send: checksums, numbers and books are right, shaped as recordings are."""

import json
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks.streams import binance, capture, okx, orders, store, walk
from benchmarks.streams.lines import Line
from l2_exporter.cli.main import cli
from l2_exporter.venues.okx import Okx
from tests.recordings import needs_recordings, path_of
from tests.tools.replaying import ledger

Books = tuple[dict[float, list[str]], dict[float, list[str]]]


def kept(books: Books, bids: Iterable[list[str]], asks: Iterable[list[str]]) -> Counter[str]:
    """Keep a book the plainest way; count what each row did."""
    found: Counter[str] = Counter()
    for side, rows in zip(books, (bids, asks), strict=True):
        for row in rows:
            price = float(row[0])
            if row[1] != "0":
                found["modified" if price in side else "inserted"] += 1
                side[price] = row
            else:
                found["deleted" if side.pop(price, None) else "unknown"] += 1
    return found


def levels(books: Books) -> tuple[list[list[str]], list[list[str]]]:
    """List a book, best first."""
    return [books[0][price] for price in sorted(books[0], reverse=True)], [
        books[1][price] for price in sorted(books[1])
    ]


def assert_right(frames: Iterable[tuple[int, str]], count: int) -> Counter[str]:
    """Follow OKX frames: the chain, the time, the checksum of the recorder's own venue; return what the rows did."""
    books: Books = ({}, {})
    found: Counter[str] = Counter()
    before = -1
    for number, (ms, text) in enumerate(islice(frames, count)):
        message = json.loads(text)
        (book,) = message["data"]
        assert (book["ts"], book["prevSeqId"]) == (str(ms), before)
        before = book["seqId"]
        did = kept(books, book["bids"], book["asks"])
        if number:
            found += did
        bids, asks = levels(books)
        assert (len(bids), len(asks)) == (400, 400)
        assert float(bids[0][0]) < float(asks[0][0])
        assert book["checksum"] == Okx().checksum(bids, asks) != 0
    return found


@pytest.mark.parametrize(
    ("pace", "shares"),
    [
        (walk.LIGHT, {"inserted": 0.38, "modified": 0.21, "deleted": 0.38, "unknown": 0.03}),
        (walk.HEAVY, {"inserted": 0.24, "modified": 0.52, "deleted": 0.24}),
    ],
)
def test_a_walk_changes_its_book_as_recordings_do(pace: walk.Pace, shares: dict[str, float]) -> None:
    found = assert_right(okx.frames(walk.walked(pace, "test", 400)), 401)
    assert {kind: count / found.total() for kind, count in found.items()} == pytest.approx(shares, abs=0.05)


def test_a_walk_depends_on_its_seed_alone() -> None:
    first = list(walk.walked(walk.LIGHT, "one", 20))
    assert first == list(walk.walked(walk.LIGHT, "one", 20)) != list(walk.walked(walk.LIGHT, "two", 20))


def test_without_checksums_nothing_else_differs() -> None:
    plain = [json.loads(text) for _, text in okx.frames(walk.walked(walk.LIGHT, "test", 3), summed=False)]
    summed = [json.loads(text) for _, text in okx.frames(walk.walked(walk.LIGHT, "test", 3))]
    for message in summed:
        message["data"][0]["checksum"] = 0
    assert plain == summed


@needs_recordings
def test_a_capture_becomes_frames_of_okx() -> None:
    found = assert_right(okx.frames(capture.sampled(path_of(capture.NAME))), 300)
    assert found["unknown"] == 0


def replayed(tmp_path: Path, lines: Iterable[Line], venue: str) -> dict[str, Any]:
    """Replay lines; return the summary."""
    path = tmp_path / "tape.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = CliRunner().invoke(
        cli, ["replay", str(path), "--vault", str(tmp_path / "v"), "--venue", venue, "--json"], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    summary: dict[str, Any] = json.loads(result.stdout)
    return summary


def test_generated_frames_of_binance_join_their_book_and_follow_each_other(tmp_path: Path) -> None:
    summary = replayed(tmp_path, binance.generated(walk.walked(walk.DEEP, "test", 60)), "binance")
    (book,) = summary["books"]
    assert (summary["inputs"], summary["losses"], book["messages"]["applied"]) == (62, {}, 60)
    assert [entry["kind"] for entry in ledger(tmp_path / "v") if entry["kind"] in ("gap", "canary")] == []


def test_a_generated_market_of_orders_holds_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "LIVE", 300)
    lines = [*orders.coinbase("test", 2_000)]
    summary = replayed(tmp_path, lines, "coinbase")
    assert (summary["inputs"], summary["losses"], summary["rejected"]) == (len(lines), {}, 0)
    kinds = Counter(json.loads(line["frame"])["type"] for line in lines if line["dir"] == "in")
    assert {*kinds} == {"received", "open", "match", "change", "done"}
    assert [entry["kind"] for entry in ledger(tmp_path / "v") if entry["kind"] in ("gap", "canary")] == []


def test_many_books_get_the_same_pushes_in_turn() -> None:
    frames = [json.loads(line["frame"]) for line in islice(store.makers()["okx-100"].lines(0), 201)]
    assert [frame["arg"]["instId"] for frame in frames] == [*okx.instruments(100) * 2, "B000-USDT-SWAP"]
    assert [frame["data"] for frame in frames[:200:100]] == [frame["data"] for frame in frames[99:200:100]]
