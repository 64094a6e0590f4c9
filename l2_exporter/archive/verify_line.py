"""The lines of one hour file, one by one and in their order."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from l2_exporter.archive.defects import Finding, Flaw, FlawError, LineRules, Rules, said
from l2_exporter.archive.layout import HourPath
from l2_exporter.archive.orders import Kind, kind_of, market_of, suffix_of
from l2_exporter.archive.schema import LINE_FLAGS, words
from l2_exporter.archive.stored import RECEIVE_DECIMALS, StoredLine, decode_line, time_ns
from l2_exporter.archive.verify_book import check_book
from l2_exporter.core.errors import clip
from l2_exporter.core.timetext import hour_of

_FLAG_PLACES = {word: place for place, word in enumerate(words(LINE_FLAGS))}


@dataclass(frozen=True, slots=True)
class LineTimes:
    """The times of one line in nanoseconds since 1970 UTC."""

    event_ns: int
    received_ns: int | None
    live_since_ns: int


class EpisodeLine(NamedTuple):
    """A line without its levels: what its episode is judged by."""

    number: int
    times: LineTimes
    timestamp_utc: str
    live_since_utc: str
    inst: str
    seq: int | None
    prev_seq: int | None
    gap: bool
    flags: list[str]


class HourChecker:
    """Checks the lines of one hour file, given in the file's order.

    Attributes:
        line: the line checked last, None if it could not be read.
        times: its times, None if one of them could not be read.
        kind: what the lines are.
    """

    kind = Kind.LEVELS

    def __init__(self, place: HourPath, rules: Rules) -> None:
        self.line: StoredLine | None = None
        self.times: LineTimes | None = None
        self._place = place
        self._rules = rules
        self._unknown: set[tuple[str, str]] = set()
        self._newest: tuple[int, bool] | None = None

    def check(self, raw: bytes) -> Iterator[Finding]:
        """Yield what is wrong with the next line, given without its `\\n`."""
        self.line = self.times = None
        try:
            line = self.decode(raw)
        except FlawError as flaw:
            yield flaw.finding
            return
        self.line = line
        rules = self._rules.get((line.exchange, line.channel))
        yield from self._check_place(line, rules)
        yield from self._check_times(line, rules)
        yield from _check_flags(line)
        yield from self._check_event_time(line, rules)
        yield from self.check_rows(line, rules)

    def decode(self, raw: bytes) -> StoredLine:
        """Read the next line.

        Raises:
            FlawError: it is none.
        """
        return decode_line(raw)

    def check_rows(self, line: StoredLine, rules: LineRules | None) -> Iterator[Finding]:
        """Check the levels and all that follows from them."""
        return check_book(line, rules)

    def _check_place(self, line: StoredLine, rules: LineRules | None) -> Iterator[Finding]:
        """Hold what the line says of itself against its path."""
        place = self._place
        pairs = (("exchange", line.exchange, place.venue), ("instId", line.inst, place.inst))
        wrong = [said(name, value) for name, value, right in pairs if value != right]
        suffix = place.dataset.partition(".")[2]
        if line.market != market_of(place.dataset) or kind_of(place.dataset) is not self.kind:
            wrong.append(said("market", line.market))
        foreign = rules is not None and self.kind is Kind.BOOKS and not rules.orders
        if rules is not None and (foreign or suffix_of(self.kind, rules.suffix) != suffix):
            wrong.append(said("channel", line.channel))
        if wrong:
            yield Flaw.PATH, f"{', '.join(wrong)}, but the path is {place.venue}/{place.dataset}/{place.inst}"
        elif rules is None and (key := (line.exchange, line.channel)) not in self._unknown:
            self._unknown.add(key)  # said once a file
            yield (
                Flaw.CHANNEL_UNKNOWN,
                f"{line.exchange} has no channel {clip(line.channel)}; its rules are not checked",
            )

    def _check_times(self, line: StoredLine, rules: LineRules | None) -> Iterator[Finding]:
        try:
            self.times = times = _read_times(line, rules.decimals if rules else None)
        except FlawError as flaw:
            yield flaw.finding
            return
        if times.live_since_ns > times.event_ns:
            yield Flaw.EPISODE, f"live_since_utc {line.live_since_utc} is after {line.timestamp_utc}"
        if hour_of(times.event_ns) != self._place.hour:
            yield Flaw.HOUR, f"timestamp_utc {line.timestamp_utc} is of another hour"
            return
        key = (times.event_ns, line.gap)
        if self._newest is not None and key <= self._newest:
            yield Flaw.ORDER, f"timestamp_utc {line.timestamp_utc} does not ascend"
            return
        self._newest = key

    def _check_event_time(self, line: StoredLine, rules: LineRules | None) -> Iterator[Finding]:
        """A channel without event time says so on every line, and book time is then a receive time, never before it."""
        flagged = "no_event_time" in line.flags
        if rules is not None and flagged is rules.has_event_time:
            told = "gives" if flagged else "does not give"
            yield Flaw.FLAG_EVENT_TIME, f"the channel {told} event times, flags {clip(line.flags)}"
        elif flagged and self.times is not None:
            received_ns = self.times.received_ns
            if received_ns is None or received_ns > self.times.event_ns:
                yield Flaw.FLAG_EVENT_TIME, f"no_event_time, but {said('received_utc', line.received_utc)}"


def _read_times(line: StoredLine, decimals: int | None) -> LineTimes:
    received = line.received_utc
    return LineTimes(
        time_ns("timestamp_utc", line.timestamp_utc, decimals),
        None if received is None else time_ns("received_utc", received, RECEIVE_DECIMALS),
        time_ns("live_since_utc", line.live_since_utc, decimals),
    )


def _check_flags(line: StoredLine) -> Iterator[Finding]:
    """Check the words themselves and those that repeat what another field says."""
    places = [_FLAG_PLACES.get(word, -1) for word in line.flags]
    if -1 in places or places != sorted(set(places)):
        yield Flaw.FLAGS, f"{said('flags', line.flags)}: unknown, repeated or out of order"
    if ("gap" in line.flags) is not line.gap:
        yield Flaw.FLAG_GAP, f"{said('gap_detected', line.gap)}, flags {clip(line.flags)}"
    if ("checksum_mismatch" in line.flags) is not (line.checksum_ok is False):
        yield Flaw.FLAG_CHECKSUM, f"{said('checksum_ok', line.checksum_ok)}, flags {clip(line.flags)}"
    if line.checksum_ok is not None and not line.checksum:
        yield Flaw.CHECKSUM_OK, f"{said('checksum_ok', line.checksum_ok)}, but {said('checksum', line.checksum)}"
