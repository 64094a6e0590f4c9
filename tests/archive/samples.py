"""A small sound archive to spoil: one instrument, one hour of lines, its ledger and its manifest."""

import copy
import hashlib
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2_exporter.archive.defects import Checksum, Rows
from l2_exporter.archive.layout import HourPath, Vault, hour_text, parse_hour_path
from l2_exporter.core.timetext import HOUR_NS, utc_ns, utc_text

Line = dict[str, Any]

VENUE, DATASET, INST = "okx", "l2_perps", "BTC-USDT-SWAP"
HOUR = 498_807
DAY = hour_text(HOUR)[0]
START = f"{DAY}T15:00:00.000Z"


@dataclass(frozen=True)
class Rules:
    """Rules of a channel, as a venue would supply them."""

    decimals: int = 3
    depth: int | None = 400
    slots: int = 4
    suffix: str = ""
    has_event_time: bool = True
    checksum: Checksum | None = None
    checksum_depth: int = 25
    orders: bool = False


def crc(bids: Rows, asks: Rows) -> int:
    """Compute the old OKX checksum (VENUES, section 1.7), written for these tests."""
    texts = []
    for place in range(25):
        texts += [":".join(side[place][:2]) for side in (bids, asks) if place < len(side)]
    unsigned = zlib.crc32(":".join(texts).encode())
    return unsigned - (1 << 32) if unsigned >= 1 << 31 else unsigned


RULES = {
    ("okx", "books"): Rules(checksum=crc),
    ("okx", "books-l2-tbt"): Rules(suffix="books-l2-tbt", checksum=crc),
    ("okx", "books5"): Rules(depth=5, suffix="books5"),
    ("slow", "book"): Rules(decimals=6, slots=2, has_event_time=False),
}

BIDS = [["43250.5", "100", "0", "5"], ["43250.0", "7", "0", "1"], ["43249", "0.5", "0", "2"]]
ASKS = [["43251.0", "150", "0", "6"], ["43252", "1e1", "0", "1"], ["43260.25", "3", "0", "1"]]


def line(second: str = "01.000", **changes: object) -> Line:
    """Make a good line of the sample hour; `changes` set or (with the value `...`) drop fields."""
    fields: Line = {
        "timestamp_utc": f"{DAY}T15:00:{second}Z",
        "exchange": VENUE,
        "market": "perp",
        "channel": "books",
        "instId": INST,
        "bids_top400": copy.deepcopy(BIDS),
        "asks_top400": copy.deepcopy(ASKS),
        "best_bid": "43250.5",
        "best_ask": "43251.0",
        "mid_price": "43250.75",
        "checksum": crc(BIDS, ASKS),
        "seqId": 7,
        "prevSeqId": 5,
        "gap_detected": False,
        "received_utc": f"{DAY}T15:00:{second}999Z",
        "checksum_ok": True,
        "flags": [],
        "live_since_utc": START,
    }
    fields |= changes
    return {name: value for name, value in fields.items() if value is not ...}


def gap_line(second: str, **changes: object) -> Line:
    """Make the line of a loss."""
    return line(second, gap_detected=True, **{"flags": ["gap"], **changes})


def entry(kind: str, at: str = "15:00:00.000000", **changes: object) -> Line:
    """Make a good ledger line of the sample day."""
    fields: Line = {
        "at": f"{DAY}T{at}Z",
        "kind": kind,
        "venue": VENUE,
        "conn": "okx-1",
        "instId": INST,
        "id": None,
        "reason": None,
        "since_event": None,
        "since_received": None,
        "until_event": None,
        "until_received": None,
        "expected": None,
        "got": None,
        "detail": {"dataset": DATASET},
    }
    fields |= changes
    return {name: value for name, value in fields.items() if value is not ...}


LOSS = {
    "id": "g1",
    "reason": "sequence",
    "since_event": f"{DAY}T15:00:05.000Z",
    "since_received": f"{DAY}T15:00:05.000999Z",
}
END = {"until_event": f"{DAY}T15:00:08.000Z", "until_received": f"{DAY}T15:00:08.000999Z"}


def lines() -> list[Line]:
    """Make the lines of a good hour with one loss."""
    episode = f"{DAY}T15:00:08.000Z"
    return [
        line("01.000", flags=[]),
        line("03.000"),
        gap_line("05.000"),
        line("09.000", flags=["after_gap"], live_since_utc=episode),
        line("11.000", live_since_utc=episode),
    ]


def ledger() -> list[Line]:
    """Make the ledger that goes with them."""
    return [
        entry("started", instId=None, conn=None, detail=None),
        entry("live", "15:00:00.000001", until_event=START, until_received=f"{DAY}T15:00:00.000001Z"),
        entry("gap", "15:00:06.000000", expected=7, got=9, **LOSS),
        entry("live", "15:00:08.000999", **LOSS, **END),
    ]


def encode(found: list[Line]) -> bytes:
    """Write lines as the archive does."""
    return b"".join(json.dumps(one, separators=(",", ":"), ensure_ascii=False).encode() + b"\n" for one in found)


def windows(hour_utc: str) -> Line:
    """Tell when the book was live, as the ledger above has it, for the manifest of any hour."""
    try:
        start = utc_ns(hour_utc)
    except ValueError:
        start = 0  # a test of what is no time
    spans = [(f"{DAY}T15:00:00Z", LOSS["since_event"]), (END["until_event"], "2100-01-01T00:00:00Z")]
    cut = [(max(start, utc_ns(begin)), min(start + HOUR_NS, utc_ns(end))) for begin, end in spans]
    live = [(begin, end) for begin, end in cut if begin < end]
    loss = {"id": "g1", "reason": "sequence", "from": LOSS["since_event"], "until": END["until_event"]}
    return {
        "episodes": [{"from": utc_text(begin, 3), "until": utc_text(end, 3)} for begin, end in live],
        "losses": [loss] if len(live) > 1 else [],
        "not_live_s": 3600 - sum(end - begin for begin, end in live) // 10**9,
    }


def manifest(data: bytes, found: list[Line], **changes: object) -> Line:
    """Make the manifest of an hour file."""
    flags = [word for one in found for word in one["flags"]]
    return {
        "format": 1,
        "venue": VENUE,
        "dataset": DATASET,
        "inst": INST,
        "channel": "books",
        "hour_utc": START,
        "origin": "live",
        "lines": len(found),
        "depth": 400,
        "cadence_ms": 2000,
        "first_utc": found[0]["timestamp_utc"] if found else None,
        "last_utc": found[-1]["timestamp_utc"] if found else None,
        "seq_first": found[0]["seqId"] if found else None,
        "seq_last": found[-1]["seqId"] if found else None,
        "continuity": "sequence",
        **windows(str(changes.get("hour_utc", START))),
        "checksum": {"ok": 2, "mismatch": 1, "unchecked": 0},
        "messages": {"received": 9, "applied": 3, "duplicate": 1, "before_seed": 2, "rejected": 1, "ignored": 2},
        "flags": {word: flags.count(word) for word in flags},
        "metadata": None,
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "previous": None,
        "tool": "test",
        "sealed": "run",
        **changes,
    }


class Sample:
    """A vault on disk that holds the sample hour."""

    def __init__(self, root: Path) -> None:
        self.vault = Vault(root)
        self.hour = self.vault.hour_file(VENUE, DATASET, INST, HOUR)
        self.ledger = self.vault.ledger_file(VENUE, DAY)
        self.manifest = self.vault.manifest_file(VENUE, DATASET, INST, HOUR)
        self.put(self.hour, encode(lines()))
        self.put(self.ledger, encode(ledger()))

    def put(self, path: Path, data: bytes) -> Path:
        """Write a file and the folders above it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def place(self) -> HourPath:
        """Tell what the hour file's path says."""
        place = parse_hour_path(self.hour, self.vault.root)
        assert place is not None
        return place
