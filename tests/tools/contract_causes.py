"""Which declared losses the protocol justifies: judged by what the exchange sent, did, and what of it arrived.

A loss is declared the moment it is noticed, and what lets it be noticed is one frame (or the end of a connection) at
just that moment. So each loss, of a book that was live until then, is judged by the frame that arrived then on its
connection, and by those before it. A frame is INTACT unless it is damaged: no JSON, or without the field that the fault
`corrupt` takes away.

`sequence`, where each book is counted by itself (`Scope.BOOK`): the frame is of this book, and
  1. it is damaged; or
  2. the intact frame of this book that came before it on this connection is neither the one it follows nor the same,
     or there was none, and the book the episode began with stood before what it follows (numbers are those of updates;
     where each change has its own, they are those of changes); or
  3. it comes behind a later one of its book; or
  4. the book the episode began with was out of date, by REST: a later update had come before, on this connection.
`sequence`, where all frames of a connection are counted (`Scope.LINK`), for each book on it:
  1. the frame is of this book and damaged: its own book is lost at once; or
  2. its number, as the wire has it, is above all that came intact on this connection, and not by one. The frame that
     is missing may have been of any book, a snapshot, or no book's; it may have been dropped, damaged, or held back.
`sequence`, where nothing proves a book: the frame is damaged, or no message at all, whatever book it may have been of.
`checksum`, where it is the only proof: the frame is of this book, and since the episode began an update of it was lost
  or came late on this connection, or its checksum or a size was made wrong. Elsewhere: three were made wrong.
`venue_reset`: the frame is a snapshot of this book, and not of the state that the frame before it had led to, or the
  book the episode began with if no frame came since.
`disconnect`, `stale` and the like: the connection ended at this moment, because the exchange ended it, or was silent
  for too long; or because of three frames in a row that were no messages.
No other loss is justified.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from l2_exporter.core.timetext import NS_PER_MS, utc_ns
from l2_exporter.core.venue import Channel, Continuity, Scope
from l2_exporter.simulator.truth import BookLine, FaultLine
from l2_exporter.simulator.wire import Kind, Push
from tests.tools.truth import ENDS_OF_LINKS, Evidence, Window, ms
from tests.tools.wired import Wired

Json = dict[str, Any]
NS_PER_US = 1000
UNREADABLE_LIMIT = 3
MISMATCH_LIMIT = 3
ENDED_BY_EXCHANGE = ("disconnect: Close", "disconnect: Cut", "disconnect: Abort")
TAKEN_OR_LATE = ("drop", "corrupt", "reorder")
MADE_WRONG = ("wrong_size", "bad_checksum")

LINK_NUMBERS: Mapping[str, Callable[[Any], object]] = {
    "bitfinex": lambda message: message[-2] if isinstance(message, list) and len(message) > 3 else None,
    "coinbase": lambda message: message.get("sequence_num") if isinstance(message, dict) else None,
}
"""Where a frame has its number among all of its connection, for venues that count those."""

CHANGE_NUMBERS: Mapping[str, Callable[[Any], object]] = {
    "kucoin": lambda message: message["data"].get("sequence") if message.get("subject") == "level2" else None,
}
"""Where a frame has its number, for venues that tell each change of a step by itself, each one more than the last."""


class Begin(NamedTuple):
    """The book an episode began with: its time, and of orders the place of the message it stands behind, if known."""

    ms: int
    place: int | None


Begun = Callable[[str, str], int | None]
"""Tells the place of the message behind which an episode of an instrument began, by its `live_since_utc`."""


class Causes:
    """The judge of one run.

    Args:
        channel: what was recorded.
        begun: of a channel of orders, where several messages are of one moment.
    """

    def __init__(self, channel: Channel, wired: Wired, evidence: Evidence, begun: Begun | None = None) -> None:
        self._channel = channel
        self._begun = begun
        self._wired = wired
        self._evidence = evidence
        self._places = {(heard.conn, heard.recv_ns // NS_PER_US): place for place, heard in enumerate(wired.heard)}
        self._damaged = damaged(wired)
        self._skipping = self._skips() if channel.scope is Scope.LINK else frozenset[int]()

    def justify(self, inst: str, window: Window) -> bool:
        """Tell whether a declared loss of a book follows from what happened."""
        reason, begin = window.gap["reason"], self._begin(inst, window)
        if begin is None:
            return False
        if reason in ENDS_OF_LINKS:
            return self._link_ended(window)
        place = self._places.get((window.gap["conn"], utc_ns(window.gap["at"]) // NS_PER_US))
        if place is None:
            return False
        judges = {"sequence": self._sequence, "checksum": self._checksum, "venue_reset": self._reset}
        return reason in judges and judges[reason](inst, place, begin)

    # ---- sequence ---------------------------------------------------------------------------------------------------

    def _sequence(self, inst: str, place: int, begin: Begin) -> bool:
        heard = self._wired.heard[place]
        if self._channel.continuity is Continuity.NONE:
            return place in self._damaged or is_no_message(heard.data)
        is_own = heard.push is not None and heard.push.inst == inst
        if place in self._damaged:
            return is_own
        if self._channel.scope is Scope.LINK:
            return place in self._skipping
        proven = self._channel.continuity is Continuity.SEQUENCE
        if not proven or not is_own:
            return False
        return self._breaks_off(inst, place, begin) or self._is_late(place) or self._began_late(inst, place, begin)

    def _skips(self) -> frozenset[int]:
        """Find the frames whose number leaves some out on their connection."""
        read = LINK_NUMBERS[self._wired.exchange.settings.venue]
        newest: dict[str, int] = {}
        found = set()
        for place, heard in enumerate(self._wired.heard):
            number = None if place in self._damaged else read(loaded(heard.data))
            if isinstance(number, int):
                last = newest.get(heard.remote, number - 1)
                found |= {place} if number > last + 1 else set()
                newest[heard.remote] = max(last, number)
        return frozenset(found)

    def _breaks_off(self, inst: str, place: int, begin: Begin) -> bool:
        """Tell whether an update does not follow the one before it, nor the book its episode began with."""
        prev, seq = self._numbers(place)
        if prev is None:
            return False
        followed = self._evidence.truth.book(inst, prev)
        is_held = followed is not None and not self._is_behind(inst, followed.seq, followed.ts, begin)
        if followed is not None and is_held and not self._began_within(followed, place, begin):
            return False
        last = next((self._numbers(other) for other in reversed(range(place)) if self._precedes(other, place)), None)
        return last is None or (last[1] != prev and last != (prev, seq))

    def _is_behind(self, inst: str, seq: int, ts_ms: int, begin: Begin) -> bool:
        """Tell whether an update is later than the book an episode began with."""
        if self._begun is None:
            return ts_ms > begin.ms
        if begin.place is None:
            return ts_ms >= begin.ms  # which of the messages of that moment it held stands nowhere
        return self._order_places[inst][seq] > begin.place

    @cached_property
    def _order_places(self) -> dict[str, dict[int, int]]:
        """The places of messages of orders, by instrument and number; numbers may be reset."""
        truth = self._evidence.truth
        return {
            inst: {message.seq: place for place, message in enumerate(truth.order_messages(inst))}
            for inst in self._evidence.insts
        }

    def _began_late(self, inst: str, place: int, begin: Begin) -> bool:
        """Tell whether a later update than the book the episode began with had come before it began."""
        lives = [line["at"] for line in self._evidence.ledger if line["kind"] == "live" and line["instId"] == inst]
        heard = self._wired.heard
        begun_ns = max(
            (utc_ns(at) for at in lives if utc_ns(at) < heard[place].recv_ns // NS_PER_US * NS_PER_US), default=0
        )
        return any(
            heard[other].recv_ns < begun_ns and self._is_behind(inst, push.seq, push.ts_ns // NS_PER_MS, begin)
            for other in range(place)
            if self._precedes(other, place) and (push := heard[other].push) is not None
        )

    def _began_within(self, step: BookLine, place: int, begin: Begin) -> bool:
        """Tell whether the episode began with some changes of a step, which had come, and may lack the others."""
        if self._wired.exchange.settings.venue not in CHANGE_NUMBERS or step.ts != begin.ms:
            return False
        return any(push.seq == step.seq and push.ts_ns // NS_PER_MS == step.ts for push in self._before(place))

    def _numbers(self, place: int) -> tuple[int | None, int | None]:
        """Tell which number an update of a book follows, and its own."""
        heard = self._wired.heard[place]
        read = CHANGE_NUMBERS.get(self._wired.exchange.settings.venue)
        number = None if read is None else read(loaded(heard.data))
        if isinstance(number, int):
            return number - 1, number
        return (None, None) if heard.push is None else (heard.push.prev, heard.push.seq)

    def _is_late(self, place: int) -> bool:
        """Tell whether an update comes behind one that was made later."""
        push = self._wired.heard[place].push
        if push is None or push.prev is None:
            return False
        made = self._made(place)
        return any(self._made(other) > made for other in range(place) if self._precedes(other, place))

    def _made(self, place: int) -> tuple[int, int]:
        """Return what the updates of a book are ordered by: time, and number within a step. Numbers may be reset."""
        push = self._wired.heard[place].push
        return (0 if push is None else push.ts_ns, self._numbers(place)[1] or 0)

    # ---- other reasons ----------------------------------------------------------------------------------------------

    def _checksum(self, inst: str, place: int, begin: Begin) -> bool:
        heard = self._wired.heard[place]
        if heard.push is None or heard.push.inst != inst:
            return False
        until_ms = heard.push.ts_ns // NS_PER_MS
        wrong = self._done(MADE_WRONG, inst, heard.remote, begin.ms, until_ms)
        if self._channel.continuity is not Continuity.CHECKSUM:
            return self._channel.checksum and len(wrong) >= MISMATCH_LIMIT
        return bool(wrong or self._done(TAKEN_OR_LATE, inst, heard.remote, begin.ms, until_ms))

    def _reset(self, inst: str, place: int, begin: Begin) -> bool:
        push = self._wired.heard[place].push
        if place in self._damaged or push is None or push.inst != inst or push.kind is not Kind.SNAPSHOT:
            return False
        before = self._before(place)
        if not before:
            return begin.ms != push.ts_ns // NS_PER_MS
        return (push.seq, push.ts_ns) != (before[-1].seq, before[-1].ts_ns)

    def _link_ended(self, window: Window) -> bool:
        gap, moment = window.gap, utc_ns(window.gap["at"]) // NS_PER_US
        ends = [end for end in self._wired.ended if (end.conn, end.recv_ns // NS_PER_US) == (gap["conn"], moment)]
        for end in ends:
            if gap["reason"] == "stale":
                return end.why.startswith("stale: ")
            if end.why == "disconnect: not_json":
                heard = [
                    each for each in self._wired.heard if each.remote == end.remote and each.recv_ns <= end.recv_ns
                ]
                return len(heard) >= UNREADABLE_LIMIT and all(is_no_message(e.data) for e in heard[-UNREADABLE_LIMIT:])
            return gap["reason"] == "disconnect" and end.why in ENDED_BY_EXCHANGE
        return False

    # ---- what arrived -----------------------------------------------------------------------------------------------

    def _begin(self, inst: str, window: Window) -> Begin | None:
        """Tell how the episode began that a loss ended; None: the book was not live."""
        told = [line for line in self._evidence.ledger if line["kind"] in ("live", "gap") and line["instId"] == inst]
        last = next((line for line in reversed(told) if line["at"] < window.gap["at"]), None)
        at_ms = None if last is None or last["kind"] == "gap" else ms(last["until_event"])
        if last is None or at_ms is None:
            return None
        return Begin(at_ms, None if self._begun is None else self._begun(inst, last["until_event"]))

    def _inst(self, place: int) -> str | None:
        push = self._wired.heard[place].push
        return None if push is None else push.inst

    def _precedes(self, other: int, place: int) -> bool:
        """Tell whether a frame, intact, came before another of the same book on the same connection."""
        same = self._wired.heard[other].remote == self._wired.heard[place].remote
        return other < place and same and other not in self._damaged and self._inst(other) == self._inst(place)

    def _before(self, place: int) -> list[Push]:
        """List what came intact of its book before a frame on its connection."""
        pushes = [self._wired.heard[other].push for other in range(place) if self._precedes(other, place)]
        return [push for push in pushes if push is not None]

    def _done(self, names: Sequence[str], inst: str, remote: str, since_ms: int, until_ms: int) -> list[FaultLine]:
        """List the faults done to updates of a book on a connection, within (since, until]."""
        found = []
        for fault in self._evidence.truth.faults:
            if fault.fault not in names or (fault.inst, fault.conn) != (inst, remote):
                continue
            step = self._evidence.truth.book(inst, fault.seq_to or 0)
            found += [fault] if step is not None and since_ms < step.ts <= until_ms else []
        return found


def damaged(wired: Wired) -> frozenset[int]:
    """Find the damaged ones among the frames that arrived, by their places."""
    broken = wired.exchange.dialect.broken_field[1]
    spoiled = {(each.conn, each.inst, each.seq_to) for each in wired.exchange.truth.faults if each.fault == "corrupt"}
    return frozenset(
        place
        for place, heard in enumerate(wired.heard)
        if heard.push is not None
        and (heard.remote, heard.push.inst, heard.push.seq) in spoiled
        and (is_no_message(heard.data) or broken in str(heard.data))
    )


def loaded(data: str | bytes) -> Any:
    """Read a frame; None: it is no message."""
    try:
        return json.loads(data)
    except ValueError:
        return None


def is_no_message(data: str | bytes) -> bool:
    """Tell whether a frame is no JSON."""
    try:
        json.loads(data)
    except ValueError:
        return True
    return False
