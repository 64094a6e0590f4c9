"""Random OKX tapes: short, eventful and reproducible, to be replayed by two readers of the contract.

Everything follows from a seed and the options. A tape need not make sense as a market: books are small, most prices
collide, time stands still or leaps, and whatever the options allow goes wrong far more often than it ever does.
"""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.reference.naive_okx import DEPTH_OF_CHANNEL, SEQUENCED, Side, best_first, checksum, utc_ns, with_rows

TapeLine = dict[str, Any]
Row = list[str]

START_MS = utc_ns("2026-11-21T15:59:30Z") // 10**6  # so that tapes cross an hour
INSTRUMENTS = ("BTC-USDT-SWAP", "ETH-USDT", "BTC-USD-261225", "BTC-USD-261225-60000-C")
LINKS = ("okx-1", "okx-2")
STEPS_MS = (0, 1, 10, 50, 100, 100, 400, 2000, 2500)
LONG_STEPS_MS = (5_000, 70_000, 130_000, 1_500_000)
CLOCK_LEADS_MS = (0, -1500, 40, 3_600_000)  # of the local clock over the venue's
AHEAD_MS = (59_000, 61_000, 200_000, 3_600_000)


@dataclass(frozen=True, slots=True)
class Options:
    """What may happen on a tape. Numbers without another unit say how often, for every hundred book frames.

    `proofs` are the ways in which a message can show that none is missing before it: "sequence", "checksum",
    "both", "none".
    """

    inputs: int = 120
    books: int = 3  # at most
    channels: Sequence[str] = tuple(DEPTH_OF_CHANNEL)
    proofs: Sequence[str] = ("sequence", "sequence", "both", "checksum", "none")
    cadences_s: Sequence[str] = ("2", "0.1", "1", "7")
    depths: Sequence[int] = (400, 3)
    lost: float = 5
    repeated: float = 8
    closed: float = 3
    snapshots: float = 12  # of the frames that could be updates
    rest: float = 0
    odd_frames: float = 0
    not_json: float = 0
    odd_times: float = 0
    leaps: float = 0  # rows of event times that run ahead together
    other_link: float = 0
    unreceived: float = 0  # inputs without a receive time; on some tapes none has one
    parts: int = 1  # replayed one after the other into one vault, with a restart between


@dataclass(frozen=True, slots=True)
class Case:
    """Tapes to be replayed in turn into one vault, and the settings to do it with."""

    parts: Sequence[Sequence[TapeLine]]
    cadence_s: str
    depth: int


def random_case(seed: int, options: Options) -> Case:
    """Make the case that belongs to a seed under these options."""
    dice = random.Random(f"{seed} {options}")  # so that mixes of options share no tapes
    lines = list(_Tape(dice, options).lines())
    parts = [lines]
    if options.parts > 1:
        cuts = sorted(dice.sample(range(1, len(lines)), options.parts - 1))
        parts = [lines[start:end] for start, end in zip([0, *cuts], [*cuts, len(lines)], strict=True)]
        if dice.random() < 0.3:
            parts.append(lines)  # everything again
    return Case(parts, dice.choice(options.cadences_s), dice.choice(options.depths))


@dataclass(slots=True)
class _Source:
    """One book as the venue has it."""

    inst: str
    channel: str
    proof: str
    wrong_checksums: float
    prices: Sequence[int]
    ask_offset: int  # 0: the book is crossed most of the time
    bids: Side = field(default_factory=dict)
    asks: Side = field(default_factory=dict)
    seq: int = 100
    begun: bool = False
    event_time: object = None
    frame: str | None = None  # the newest

    @property
    def arg(self) -> dict[str, str]:
        return {"channel": self.channel, "instId": self.inst}

    @property
    def has_sequence(self) -> bool:
        return self.proof in ("sequence", "both")

    def levels(self) -> dict[str, list[Row]]:
        """Return the whole book as the venue sends it."""
        return {"asks": best_first(self.asks, bids=False), "bids": best_first(self.bids, bids=True)}


class _Tape:
    """The maker of one tape."""

    def __init__(self, dice: random.Random, options: Options) -> None:
        self.dice = dice
        self.options = options
        self.now_ms = START_MS + dice.randrange(3000)
        self.lead_ms = dice.choice(CLOCK_LEADS_MS)
        self.has_steady_clock = self.happens(30)
        self.latency_ns = self.dice.choice((1, 30 * 10**6))  # at most; with 1 deadlines are met to the nanosecond
        self.unreceived = 100 if options.unreceived and self.happens(30) else options.unreceived
        self.leap_ms = self.leap_left = 0  # event times that run ahead together
        self.count = 0
        self.sources = self.some_sources()

    def lines(self) -> Iterator[TapeLine]:
        makers = self.makers()
        for _ in range(self.options.inputs):
            self.now_ms += self.dice.choice(LONG_STEPS_MS if self.happens(1) else STEPS_MS)
            source = self.dice.choice(self.sources)
            (make,) = self.dice.choices(list(makers), list(makers.values()))
            conn = LINKS[self.happens(self.options.other_link)]
            for line in make(source):
                yield self.stamped({"conn": conn, **line})

    def makers(self) -> dict[Callable[[_Source], list[TapeLine]], float]:
        """Return what makes inputs, with how often it does."""
        options = self.options
        return {
            self.push: 100,
            self.lose: options.lost,
            self.repeat: options.repeated,
            self.close: options.closed,
            self.answer: options.rest,
            self.push_odd: options.odd_frames,
            self.push_unreadable: options.not_json,
            self.pass_by: 4,
        }

    # ------------------------------------------------------------------------------------------ dice

    def happens(self, percent: float) -> bool:
        return self.dice.random() * 100 < percent

    def some_sources(self) -> list[_Source]:
        options = self.options
        insts = self.dice.sample(INSTRUMENTS, self.dice.randint(1, len(INSTRUMENTS)))
        books = [(inst, channel) for inst in insts for channel in options.channels]
        chosen = self.dice.sample(books, min(len(books), self.dice.randint(1, options.books)))
        proofs = {inst: self.dice.choice(options.proofs) for inst in insts}  # the same on all its channels
        return [self.source(inst, channel, proofs[inst]) for inst, channel in chosen]

    def source(self, inst: str, channel: str, proof: str) -> _Source:
        dice = self.dice
        source = _Source(
            inst=inst,
            channel=channel,
            proof=proof,
            wrong_checksums=dice.choice((0, 10, 90)),
            prices=range(1, dice.choice((12, 12, 60))),
            ask_offset=dice.choice((0, 30)),
            seq=dice.randrange(100, 200),
        )
        self.change(source, fresh=True)
        return source

    def rows(self, source: _Source, count: int, offset: int = 0) -> list[Row]:
        """Return rows in any order; some remove a level, some name one that is known by another text."""
        prices = self.dice.sample(source.prices, min(count, len(source.prices)))
        return [self.row(price + offset) for price in prices]

    def row(self, price: int) -> Row:
        endings, sizes = ("", ".0", ".50"), ("0", "0.0", "1", "2.5", "3")
        if self.happens(3):
            endings, sizes = ("e0", ".0000000000000000", ".0000000000000001"), ("0e5", "1e-9", "2E+3")
        return [f"{price}{self.dice.choice(endings)}", self.dice.choice(sizes), "0", str(self.dice.randrange(4))]

    def event_time(self) -> object:
        """Return a `ts`: mostly now or a little earlier, and what the options allow beside it."""
        behind_ms = self.dice.choice((0, 0, 0, 5, 50, 3000))
        if self.leap_left:
            self.leap_left -= 1
            return str(self.now_ms + self.leap_ms)
        if self.happens(self.options.leaps):
            self.leap_ms, self.leap_left = self.dice.choice(AHEAD_MS), self.dice.randrange(5, 16)
        if not self.happens(self.options.odd_times):
            return str(self.now_ms - behind_ms)
        ahead = str(self.now_ms + self.dice.choice(AHEAD_MS))
        return self.dice.choice(("0", "", "-5", "abc", 0, 1.5, None, True, self.now_ms, self.now_ms, ahead, ahead))

    # ------------------------------------------------------------------------------------------ inputs

    def stamped(self, line: TapeLine) -> TapeLine:
        """Number an input and give it its receive times."""
        recv_ns = (self.now_ms + self.lead_ms) * 10**6 + self.dice.randrange(self.latency_ns)
        line = {"n": self.count, "recv_ns": recv_ns, "url": None, "frame": "", **line}
        self.count += 1
        if self.happens(self.unreceived):
            line["recv_ns"] = None
        elif self.has_steady_clock:
            line["mono_ns"] = recv_ns - START_MS * 10**6 + 10**12
        return line

    def push(self, source: _Source) -> list[TapeLine]:
        return [_arriving(self.next_frame(source))]

    def lose(self, source: _Source) -> list[TapeLine]:
        """Let the venue send a frame that never arrives."""
        self.next_frame(source)
        return []

    def repeat(self, source: _Source) -> list[TapeLine]:
        return [] if source.frame is None else [_arriving(source.frame)]

    def close(self, source: _Source) -> list[TapeLine]:
        source.begun = self.happens(50)
        return [{"dir": "close"}] + ([{"dir": "open", "url": "wss://ws.okx.com"}] if self.happens(50) else [])

    def pass_by(self, source: _Source) -> list[TapeLine]:
        """Let something arrive that concerns no book."""
        acknowledged = json.dumps({"event": "subscribe", "arg": source.arg})
        sent = {"dir": "out", "frame": '{"op":"subscribe","args":[]}'}
        quiet = [_arriving(text) for text in ("pong", "[]", "{}", acknowledged)]
        return [self.dice.choice([*quiet, sent, {"dir": "tick"}, {"dir": "tick"}, {"dir": "tick"}])]

    def push_unreadable(self, _source: _Source) -> list[TapeLine]:
        return [_arriving(self.dice.choice(("{", "", "bong", '{"data":NaN}')))]

    def push_odd(self, source: _Source) -> list[TapeLine]:
        """Let the next frame arrive with something wrong in it."""
        frame = json.loads(self.next_frame(source))
        self.dice.choice(_BREAKS)(frame)
        return [_arriving(json.dumps(frame))]

    def answer(self, source: _Source) -> list[TapeLine]:
        """Let a REST book arrive, ahead of the pushes or behind them, or a failure."""
        data = source.levels() | {"ts": self.event_time()}
        if source.has_sequence:
            data["seqId"] = source.seq - self.dice.choice((-2, -1, 0, 0, 1, 5, 30))
        body = json.dumps({"code": self.dice.choice(("0", "0", "0", "50011")), "msg": "", "data": [data]})
        levels = self.dice.choice(("&sz=400", "&sz=400", "&sz=400", "&sz=50", ""))
        url = f"https://www.okx.com/api/v5/market/books?instId={source.inst}{levels}"
        line = {"dir": "http", "conn": "rest", "url": url, "frame": body}
        return [line | self.dice.choice(({}, {}, {"status": 200}, {"status": 429}, {"status": 0}))]

    # ------------------------------------------------------------------------------------------ the venue

    def next_frame(self, source: _Source) -> str:
        """Let the book move on; return the frame that says so."""
        if source.channel not in SEQUENCED:
            frame = {"arg": source.arg, "data": [self.whole(source)]}
        else:
            # Where REST answers come, a subscription may begin with updates.
            first = not source.begun and not (self.options.rest and self.happens(50))
            is_snapshot = first or self.happens(self.options.snapshots)
            data = self.snapshot(source) if is_snapshot else self.update(source)
            more = [self.update(source)] if not is_snapshot and self.happens(3) else []
            frame = {"arg": source.arg, "action": "snapshot" if is_snapshot else "update", "data": [data, *more]}
        source.begun = True
        source.frame = json.dumps(frame)
        return source.frame

    def whole(self, source: _Source) -> dict[str, Any]:
        depth = DEPTH_OF_CHANNEL[source.channel]
        self.change(source, fresh=True)
        data = {side: rows[:depth] for side, rows in source.levels().items()} | {"ts": self.event_time()}
        return data | ({"seqId": self.dice.randrange(50)} if self.happens(80) else {})

    def snapshot(self, source: _Source) -> dict[str, Any]:
        """Return the whole book, moved on or not, with counters that begin a chain or continue one."""
        before = source.seq
        if not source.begun or self.happens(50):
            self.change(source, fresh=True)
            source.seq += self.dice.randrange(3)
        if source.event_time is None or self.happens(70):
            source.event_time = self.event_time()
        prev = -1 if self.happens(80) else before
        return self.proven(source, source.levels() | {"ts": source.event_time}, prev)

    def update(self, source: _Source) -> dict[str, Any]:
        """Return some changed levels, none, or a keep-alive."""
        prev, kind = source.seq, self.dice.random()
        rows = {"asks": [], "bids": []} if kind < 0.12 else self.change(source)
        if kind < 0.08:
            pass  # a keep-alive
        elif kind > 0.97:
            source.seq -= self.dice.randrange(1, 90)  # maintenance reset
        else:
            source.seq += self.dice.randrange(1, 6)
        source.event_time = self.event_time()
        return self.proven(source, rows | {"ts": source.event_time}, prev)

    def change(self, source: _Source, *, fresh: bool = False) -> dict[str, list[Row]]:
        """Change some levels, or all; return the rows that did it."""
        counts = (4, 4, 55) if fresh else (0, 1, 2)
        asks = self.rows(source, self.dice.choice(counts), source.ask_offset)
        bids = self.rows(source, self.dice.choice(counts))
        source.asks = with_rows({} if fresh else source.asks, asks)
        source.bids = with_rows({} if fresh else source.bids, bids)
        return {"asks": asks, "bids": bids}

    def proven(self, source: _Source, data: dict[str, Any], prev: int) -> dict[str, Any]:
        """Add the counters and the checksum that this book comes with."""
        if source.has_sequence:
            data |= {"seqId": source.seq, "prevSeqId": prev}
        if source.proof not in ("checksum", "both"):
            return data | ({"checksum": 0} if self.happens(70) else {})
        is_wrong = self.happens(source.wrong_checksums)
        return data | {"checksum": self.dice.choice((0, 12345)) if is_wrong else checksum(source.bids, source.asks)}


def _arriving(frame: str) -> TapeLine:
    return {"dir": "in", "frame": frame}


def _with_row(*row: object) -> Callable[[dict[str, Any]], object]:
    return lambda frame: frame["data"][0]["bids"].append(list(row))


_BREAKS: tuple[Callable[[dict[str, Any]], object], ...] = (
    lambda frame: frame.pop("data"),
    lambda frame: frame["data"].clear(),
    lambda frame: frame["data"].append(7),
    lambda frame: frame["arg"].pop("instId"),
    lambda frame: frame["arg"].update(instId=7),
    lambda frame: frame.update(action="replace"),
    lambda frame: frame["data"][0].pop("ts"),
    lambda frame: frame["data"][0].pop("asks"),
    lambda frame: frame["data"][0].update(bids={}),
    lambda frame: frame["data"][0].update(seqId="11"),
    lambda frame: frame["data"][0].update(prevSeqId=1.5),
    lambda frame: frame["data"][0].update(checksum=True),
    _with_row("1", "x", "0", "1"),
    _with_row("0.0", "1", "0", "1"),
    _with_row("1", "-1", "0", "1"),
    _with_row("1e31", "1", "0", "1"),
    _with_row("1" * 65, "1", "0", "1"),
    _with_row(1, 1, "0", "1"),
    _with_row("1"),
)
