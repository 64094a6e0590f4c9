"""What `verify` can find wrong, and what it must be told of a channel to judge its lines."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from l2_exporter.core.errors import clip


class Flaw(StrEnum):
    """The closed list of what can be wrong."""

    # of a file
    DAMAGED = "damaged"  # cannot be decompressed or read
    TORN_TAIL = "torn_tail"  # the last line has no end
    TWO_SUFFIXES = "two_suffixes"  # the hour exists plain and compressed
    FOREIGN_FILE = "foreign_file"  # named like a line file, but of no hour
    LINK = "link"  # a symbolic link where a file of the archive should be
    NO_LEDGER = "no_ledger"  # hour files of a venue that has no ledger at all
    # of any line
    NOT_JSON = "not_json"  # not one JSON object in UTF-8
    NOT_COMPACT = "not_compact"  # blanks between its tokens
    FIELDS = "fields"  # a field is missing, twice there, or out of order
    TYPE = "type"  # a value of another type than its field's
    # of a snapshot line
    CHANNEL_UNKNOWN = "channel_unknown"  # no such channel of this exchange
    PATH = "path"  # exchange, channel, market or instId disagree with the path
    TIME = "time"  # a time that is none, or with other decimals than its field's
    HOUR = "hour"  # the line belongs to another hour's file
    ORDER = "order"  # (timestamp_utc, gap_detected) does not ascend
    DEPTH = "depth"  # more levels than the field's name allows, or than the channel gives
    LEVEL = "level"  # a level that is no price and size
    LEVEL_ORDER = "level_order"  # levels are not best first, or a price stands twice
    BEST = "best"  # best_bid or best_ask is not the first level's price
    MID = "mid"  # mid_price is not the exact mean
    FLAGS = "flags"  # an unknown word, a repetition, or out of order
    FLAG_GAP = "flag_gap"  # `gap` and gap_detected disagree
    FLAG_CROSSED = "flag_crossed"  # `crossed` and the best prices disagree
    FLAG_EVENT_TIME = "flag_event_time"  # `no_event_time` and the channel or the times disagree
    FLAG_PARTIAL = "flag_partial"  # `partial_depth` on a book that is full
    FLAG_CHECKSUM = "flag_checksum"  # `checksum_mismatch` and checksum_ok disagree
    CHECKSUM_OK = "checksum_ok"  # a verdict without a checksum
    CHECKSUM = "checksum"  # the stored levels have another checksum than checksum_ok says
    EPISODE = "episode"  # live_since_utc is after the line
    FLAG_FIRST = "flag_first"  # `after_gap` or `seeded_from_rest` on a line that is not its episode's first
    FLAG_AFTER_GAP = "flag_after_gap"  # the first line after a loss does not say so
    NUMBERS = "numbers"  # sequence numbers that come or go within an episode, or begin anew
    IN_GAP = "in_gap"  # an ordinary line inside a window declared unknown
    ACROSS_LOSS = "across_loss"  # an episode that goes on after the loss that ended it
    NO_LIVE = "no_live"  # an episode whose beginning the ledger does not know
    NOT_IN_LEDGER = "not_in_ledger"  # the ledger does not know the instrument
    GAP_UNDECLARED = "gap_undeclared"  # a gap line that the ledger does not know
    # of an order event
    EVENT = "event"  # values that its type does not have, or lacks
    MARK = "mark"  # an episode of order events that does not begin or end as the ledger says
    NUMBER = "number"  # `n` does not count on
    CONTRADICTION = "contradiction"  # what an event says of an order is not what the events before it make of it
    # of a book of orders, and of the levels made of it
    ORDER_ID = "order_id"  # an order stands twice in a book
    REPLAYED = "replayed"  # the events since the book line before it make another book
    # of a ledger line
    VENUE = "venue"  # the line names another venue than its path
    DATE = "date"  # `at` is of another date than its file
    KIND = "kind"  # no such kind
    GAP_ID = "gap_id"  # a gap without an id, or with another's
    LIVE_ID = "live_id"  # the end of a gap that never began
    RUN = "run"  # a run that goes on behind its end, or has no beginning
    # of a manifest
    SEAL = "seal"  # the ledger's `sealed` and the manifest disagree, or one is there without the other
    WINDOWS = "windows"  # its episodes, losses or seconds not live are not those of the ledger, or of the lines
    UNSEALED = "unsealed"  # an hour with lines that is older than a manifest of its book, and has none
    HOLE = "hole"  # hours between two manifests of a book that nothing accounts for
    MANIFEST = "manifest"  # it disagrees with its path, with the hour file or with the manifest before it
    # of the retention job's record
    RECORD = "record"  # it contradicts itself, or what is there
    MISSING = "missing"  # what it, a manifest or the ledger vouches for is gone, and no tombstone tells of it
    # of lines that were made again from tapes
    REDERIVED = "rederived"  # the tapes make other lines


@dataclass(frozen=True, slots=True)
class Defect:
    """One thing that is wrong. `line` counts from 1; 0 means the file as a whole."""

    path: Path
    line: int
    reason: Flaw
    detail: str


Finding = tuple[Flaw, str]
"""What is wrong with a line or file, and its detail."""


class FlawError(Exception):
    """The line being looked at is so wrong that the rest of it cannot be judged."""

    def __init__(self, reason: Flaw, detail: str) -> None:
        super().__init__(detail)
        self.finding: Finding = (reason, detail)


Rows = list[list[str]]
Checksum = Callable[[Rows, Rows], int]


class LineRules(Protocol):
    """What the lines of one channel promise; a venue's registry supplies it.

    Attributes:
        decimals: digits of a second in `timestamp_utc`.
        depth: levels a side that the channel gives, None for the whole book.
        slots: texts in a level, at least; price and size come first.
        suffix: what the channel's datasets are called behind the market's dataset, empty for the default channel.
        has_event_time: the venue stamps its messages; without, every line says `no_event_time`.
        checksum: computes the venue's checksum from both sides, best first; None where there is none.
        checksum_depth: levels a side that the checksum covers; of a channel of orders, orders.
        orders: the channel tells of orders, and its levels are sums of them; the checksum is one of orders.
    """

    @property
    def decimals(self) -> int: ...
    @property
    def depth(self) -> int | None: ...
    @property
    def slots(self) -> int: ...
    @property
    def suffix(self) -> str: ...
    @property
    def has_event_time(self) -> bool: ...
    @property
    def checksum(self) -> Checksum | None: ...
    @property
    def checksum_depth(self) -> int: ...
    @property
    def orders(self) -> bool: ...


Rules = Mapping[tuple[str, str], LineRules]
"""The rules of each (exchange, channel)."""


def said(name: str, value: object) -> str:
    """Write a field and its value for a defect's detail, cut to 200 characters."""
    return f"{name} is {clip(value)}"
