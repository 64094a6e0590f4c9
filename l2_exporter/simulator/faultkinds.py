"""Every fault there is: its name, what it takes, what it does. Grammar, run and docs/SIMULATOR.md follow this table."""

from dataclasses import dataclass
from enum import Enum


class Takes(Enum):
    """What may stand behind a fault's name."""

    NOTHING = "nothing"
    CHANCE = ":P, a chance from 0 to 1"
    SPAN = ":D, a time like 5s, 200ms, 2m"
    SIZE = ":N, a size like 2MB"
    WORD = "=WORD"


class Moment(Enum):
    """Whether `@T` may stand behind it."""

    NEVER = "never"
    MAY = "may"
    MUST = "must"


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One name of the grammar.

    Attributes:
        default: the value where none is given; empty: it must be given (a chance may give a moment in its place).
        words: what may stand behind `=`.
        whole_venue: it hits the whole venue, once: neither `/INST` nor `+D` may stand behind it.
    """

    name: str
    takes: Takes
    moment: Moment
    about: str
    example: str
    default: str = ""
    words: tuple[str, ...] = ()
    whole_venue: bool = False


def _chance(name: str, about: str, example: str) -> FaultKind:
    return FaultKind(name, Takes.CHANCE, Moment.MAY, about, example)


_CHANCE, _SPAN, _SIZE, _WORD, _NOTHING = Takes.CHANCE, Takes.SPAN, Takes.SIZE, Takes.WORD, Takes.NOTHING
_NEVER, _MAY, _MUST = Moment.NEVER, Moment.MAY, Moment.MUST

FAULTS: dict[str, FaultKind] = {
    kind.name: kind
    for kind in (
        _chance("drop", "an update is lost", "drop:0.01"),
        _chance("drop_snapshot", "the first book after a subscription is lost", "drop_snapshot@0s"),
        _chance("duplicate", "a book frame comes twice", "duplicate:0.01"),
        _chance("reorder", "an update comes after the one that follows it", "reorder:0.01/ETH-USDT-SWAP"),
        _chance("corrupt", "an update is damaged: cut off, or without a field it must have", "corrupt:0.005"),
        _chance("garbage", "a binary frame of random bytes comes before a book frame", "garbage:0.001"),
        _chance(
            "event_time_jump", "an update carries a time of 0, or far in the future or past", "event_time_jump:0.001"
        ),
        _chance("wrong_size", "one size of an update is wrong: only a checksum can tell", "wrong_size@10s"),
        _chance("bad_checksum", "the checksum is not the book's (with checksum=right)", "bad_checksum:0.01"),
        FaultKind("oversize", _SIZE, _MUST, "an update is padded to this size", "oversize:2MB@10s", "32MB"),
        FaultKind("close_mid_frame", _NOTHING, _MUST, "the link breaks off within an update", "close_mid_frame@15s"),
        FaultKind("stall", _SPAN, _MUST, "frames are held back, then all come at once", "stall:5s@30s"),
        FaultKind("half_open", _SPAN, _MUST, "the link is dead but open, then torn down", "half_open@20s", "2m"),
        FaultKind("close", _NOTHING, _MUST, "the server closes the link properly", "close@12s"),
        FaultKind("notice", _SPAN, _MUST, "a close is announced, and comes this much later", "notice:60s@20s", "60s"),
        FaultKind(
            "maintenance",
            _SPAN,
            _MUST,
            "announced by REST; when it begins links are closed, and none is accepted until it ends",
            "maintenance:30s@1m",
            whole_venue=True,
        ),
        FaultKind("reset", _NOTHING, _MUST, "sequence numbers fall, the chain holds", "reset@25s"),
        FaultKind("crossed", _SPAN, _MUST, "the best bid is above the best ask", "crossed:3s@10s", "5s"),
        FaultKind("quiet", _SPAN, _MUST, "nothing changes: only keep-alives", "quiet:3m@10s"),
        FaultKind(
            "schema_change", _SPAN, _MUST, "a field of every book frame has another name", "schema_change@40s", "24h"
        ),
        FaultKind("no_snapshot", _NOTHING, _NEVER, "a subscription brings no snapshot", "no_snapshot"),
        FaultKind(
            "checksum",
            _WORD,
            _MAY,
            "what the checksum field holds; change: of something else than the book, from @T on",
            "checksum=change@30s",
            words=("right", "zero", "absent", "change"),
        ),
        FaultKind("rest_late", _SPAN, _MAY, "HTTP answers are held back", "rest_late:3s"),
        FaultKind("rest_cached", _SPAN, _MAY, "HTTP books are as old as the last multiple of this", "rest_cached:30s"),
        _chance("rest_429", "an HTTP request is refused: too many", "rest_429:0.2"),
        _chance("rest_5xx", "an HTTP request fails with 500, 502 or 503", "rest_5xx:0.2"),
        _chance("rest_html", "an HTTP request gets a page instead of data", "rest_html:0.1"),
        _chance("rest_hang", "an HTTP request is never answered", "rest_hang:0.1"),
    )
}
