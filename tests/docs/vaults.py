"""A small vault with everything that readers stumble over. Lines stand as docs/FORMAT.md says, in that order.

BTC-USDT-SWAP: 09 (.zst) and 10 (.gz) are plain sailing; 11 has no flag on its first 150 lines, then a loss, a REST
seed, a mismatch and an empty side; 12 ends in a half-written line, as after a power cut. The other books differ in
depth, rows, decimals, checksums and counters; `bbo-tbt` was rebuilt from a tape without receive times. Manifest,
status, metadata and tape are the samples of docs/FORMAT.md.
"""

import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import zstandard

DAY = "2026-11-21"
EPISODE_2 = f"{DAY}T11:05:03.123Z"
BIG_SEQ = 2**53 + 1


@dataclass(frozen=True)
class Book:
    """One (venue, dataset, instrument) and how its lines look."""

    venue: str
    market: str
    dataset: str
    channel: str
    inst: str
    depth: int
    decimals: int = 3
    slots: int = 4
    seq: int | None = 1_000
    prev: bool = True
    checksums: tuple[int | None, ...] = (0,)
    received: bool = True
    levels: int = 6
    live_since: str = "09:00:00"
    hours: tuple[tuple[str, int, str], ...] = (("11.jsonl", 4, ""),)
    folder: str = ""

    @property
    def path(self) -> str:
        """The folder of the instrument, as users write it."""
        return f"vault/raw/{self.venue}/{self.dataset}/{self.folder or self.inst}"


BTC = Book(
    "okx",
    "perp",
    "l2_perps",
    "books",
    "BTC-USDT-SWAP",
    400,
    hours=(
        ("09.jsonl.zst", 120, ""),
        ("10.jsonl.gz", 120, ""),
        ("11.jsonl", 240, "eventful"),
        ("12.jsonl", 30, "torn"),
    ),
)
ETH = Book(
    "okx", "perp", "l2_perps", "books", "ETH-USDT-SWAP", 400, live_since="11:00:00", hours=(("11.jsonl", 40, ""),)
)
QUIET = Book(
    "okx", "spot", "l2_spot.books5", "books5", "BTC-USDT", 5, seq=BIG_SEQ, prev=False, checksums=(None,), levels=5
)
BOOKS = (
    BTC,
    ETH,
    QUIET,
    Book("okx", "spot", "l2_spot.books50-l2-tbt", "books50-l2-tbt", "ETH-USDT", 50, hours=(("11.jsonl.gz", 130, ""),)),
    Book("okx", "perp", "l2_perps.bbo-tbt", "bbo-tbt", "BTC-USDT-SWAP", 1, prev=False, received=False, levels=1),
    Book("binance", "perp", "l2_perps.depth20", "depth20", "BTCUSDT", 20, slots=2, checksums=(None,), levels=20),
    Book(
        "kraken",
        "spot",
        "l2_spot",
        "book",
        "BTC/USD",
        400,
        decimals=6,
        slots=2,
        seq=None,
        checksums=(3310070434, 18446744),
        hours=(("11.jsonl.zst", 110, "checked"), ("12.jsonl", 0, "torn")),
        folder="BTC%2FUSD",
    ),
    Book(
        "kucoin", "futures", "l2_futures", "level2", "XBTUSDM", 400, decimals=9, slots=2, hours=(("11.jsonl", 5, ""),)
    ),
)


def build(root: Path, samples: dict[str, bytes], codec: str | None = None) -> None:
    """Write the vault into `root/vault`; `samples` are the contents of the files that stand in docs/FORMAT.md.

    Args:
        codec: let the retention job compress with it all that is whole; None: as the names of the files say, by us.
    """
    for book in BOOKS:
        for name, count, kind in book.hours:
            data = b"".join(hour_lines(book, int(name[:2]), count, kind))
            if kind == "torn":
                data += next(hour_lines(book, int(name[:2]) + 1, 1, ""))[:-100]
            write(root / book.path / DAY / (f"{name[:2]}.jsonl" if codec else name), data)
    tape = f"vault/tape/okx/{DAY}/11-okx-1-20261121T110000Z.jsonl"
    write(root / (tape if codec else f"{tape}.gz"), samples["tape"])
    if codec:
        retain(root / "vault", codec)
    write(root / BTC.path / DAY / "10.manifest.json", samples["manifest"])
    write(root / f"vault/meta/okx/events/{DAY}.jsonl", b"".join(map(compact, LEDGER)) + b'{"at":"2026-11')
    write(root / "vault/meta/okx/status.json", samples["status"])
    write(root / "vault/meta/okx/instruments/BTC-USDT-SWAP.json", samples["metadata"])


def retain(vault: Path, codec: str) -> None:
    """Let the job compress every file; it leaves the two whose ends are torn."""
    now = f"{DAY}T23:00:00Z"
    arguments = ["--vault", str(vault), "--now", now, "--delete-after", "never", "--codec", codec, "--json"]
    command = [sys.executable, "-m", "retention", "run", *arguments]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, check=False)
    assert [one["path"] for one in json.loads(done.stdout)["left"]] == [
        "raw/kraken/l2_spot/BTC%2FUSD/2026-11-21/12.jsonl",
        "raw/okx/l2_perps/BTC-USDT-SWAP/2026-11-21/12.jsonl",
    ]
    plain = [*vault.glob("raw/**/*.jsonl"), *vault.glob("tape/**/*.jsonl")]
    assert sorted(path.name for path in plain) == ["12.jsonl", "12.jsonl"]


def write(path: Path, data: bytes) -> None:
    """Write plain or compressed, as the suffix says; compressed files come in two members, as appending makes them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    halves = data[: len(data) // 2], data[len(data) // 2 :]
    if path.suffix == ".gz":
        data = b"".join(map(gzip.compress, halves))
    elif path.suffix == ".zst":
        data = b"".join(map(zstandard.compress, halves))
    path.write_bytes(data)


def compact(value: object) -> bytes:
    """Encode one line."""
    return orjson.dumps(value) + b"\n"


def hour_lines(book: Book, hour: int, count: int, kind: str) -> Iterator[bytes]:
    """Make the lines of one hour: one each 2 s from the full hour on."""
    for number in range(count):
        line = plain_line(book, hour, number)
        if kind == "eventful":
            line |= EVENTS.get(number, {})
            if number > 150:
                line["live_since_utc"] = EPISODE_2
        elif kind == "checked":
            line["checksum_ok"] = number != 105
            line["flags"] = ["checksum_mismatch"] if number == 105 else []
        yield compact(line)


def plain_line(book: Book, hour: int, number: int) -> dict[str, object]:
    """Make one good line. Prices move a little and keep their trailing zeros, as venues send them."""
    tenths = 432_500 + 7 * (number * number % 11) + hour
    bids = [level(book, tenths - 5 * rank, rank + number) for rank in range(book.levels)]
    asks = [level(book, tenths + 1 + 5 * rank, 2 * rank + number) for rank in range(book.levels)]
    fraction = "123456789"[: book.decimals]
    seconds = 2 * number + 1
    moment = f"{DAY}T{hour:02d}:{seconds // 60:02d}:{seconds % 60:02d}"
    seq = None if book.seq is None else book.seq + 1_000_000 * hour + 13 * number
    return {
        "timestamp_utc": f"{moment}.{fraction}Z",
        "exchange": book.venue,
        "market": book.market,
        "channel": book.channel,
        "instId": book.inst,
        f"bids_top{book.depth}": bids,
        f"asks_top{book.depth}": asks,
        "best_bid": bids[0][0],
        "best_ask": asks[0][0],
        "mid_price": f"{(2 * tenths + 1) / 20:.2f}",  # always ends in 5
        "checksum": book.checksums[number % len(book.checksums)],
        "seqId": seq,
        "prevSeqId": None if seq is None or not book.prev else seq - 13,
        "gap_detected": False,
        "received_utc": f"{moment}.187654Z" if book.received else None,
        "checksum_ok": None,
        "flags": [],
        "live_since_utc": f"{DAY}T{book.live_since}.{fraction}Z",
    }


def level(book: Book, tenths: int, size: int) -> list[str]:
    """Make one row of two or four slots."""
    row = [f"{tenths / 10:.1f}", str(size + 1), "0", str(size % 7 + 1)]
    return row[: book.slots]


EVENTS: dict[int, dict[str, object]] = {
    150: {"gap_detected": True, "flags": ["gap"]},
    151: {"prevSeqId": None, "flags": ["after_gap", "seeded_from_rest"]},
    180: {"checksum": -123456789, "checksum_ok": False, "flags": ["checksum_mismatch"]},
    200: {"bids_top400": [], "best_bid": None, "mid_price": None},
}


BTC_INST, ETH_INST = "BTC-USDT-SWAP", "ETH-USDT-SWAP"


def event(at: str, kind: str, inst: str | None = None, **fields: Any) -> dict[str, object]:
    """Make one ledger line; `since` and `until` are times of the day, received 0.1 s later."""
    since, until = fields.get("since"), fields.get("until")
    detail = ({"dataset": "l2_perps"} if inst else {}) | fields.get("detail", {})
    return {
        "at": f"{DAY}T{at}Z",
        "kind": kind,
        "venue": "okx",
        "conn": None if kind == "started" else "okx-1",
        "instId": inst,
        "id": fields.get("id"),
        "reason": fields.get("reason"),
        "since_event": since and f"{DAY}T{since}.123Z",
        "since_received": since and f"{DAY}T{since}.187654Z",
        "until_event": until and f"{DAY}T{until}.123Z",
        "until_received": until and f"{DAY}T{until}.187654Z",
        "expected": fields.get("expected"),
        "got": fields.get("got"),
        "detail": detail or None,
    }


# A sequence gap that was mended; then a recorder that was killed while a book was lost, so that two losses end at once.
LEDGER = (
    event("08:59:59.000001", "started"),
    event("08:59:59.500000", "connected", detail={"origin": "live", "url": "wss://ws.okx.com:8443/ws/v5/public"}),
    event("08:59:59.900000", "subscribed", detail={"channel": "books", "instId": BTC_INST}),
    event("09:00:00.187654", "live", BTC_INST, until="09:00:00"),
    event("09:00:00.300000", "canary", BTC_INST, reason="checksum_zero", got=0),
    event("11:00:00.187654", "live", ETH_INST, until="11:00:00"),
    event("11:05:01.300000", "gap", BTC_INST, id="a1", reason="sequence", since="11:05:01", expected=2950, got=2963),
    event("11:05:01.300000", "resync", BTC_INST, reason="rest", detail={"attempt": 1}),
    event("11:05:03.187654", "live", BTC_INST, id="a1", reason="sequence", since="11:05:01", until="11:05:03"),
    event("11:06:01.200000", "checksum_mismatch", BTC_INST, expected=-123456789, got=987654321),
    event("11:30:00.000000", "event_time_odd", ETH_INST, detail={"event_ns": None}),
    event("11:31:00.000000", "canary", reason="not_json", expected="JSON", got="<html>"),
    event("11:40:00.000000", "gap", ETH_INST, id="a2", reason="disconnect", since="11:39:58"),
    event("11:45:00.000000", "gap", ETH_INST, id="b1", reason="restart", since="11:39:58"),
    event("11:45:02.000000", "live", ETH_INST, id="a2", reason="disconnect", since="11:39:58", until="11:45:01"),
    event("11:45:02.000000", "live", ETH_INST, id="b1", reason="restart", since="11:39:58", until="11:45:01"),
)
