"""What a taped run knew of its archive, so that a replay into an empty vault marks its first lines alike."""

from collections.abc import Iterable

from l2_exporter.core.history import History, LastLine, OpenGap
from l2_exporter.core.records import BookSpec, LedgerRecord, Line, Record
from l2_exporter.core.sampling import Floor
from l2_exporter.core.timetext import hour_of


def describe_past(specs: Iterable[BookSpec], history: History) -> dict[str, list[object]]:
    """Write down the last line of each book for the `start` of a tape: `{"dataset/inst": [event_ns, recv_ns, gap]}`."""
    past: dict[str, list[object]] = {}
    for spec in specs:
        last = history.newest(spec)
        if last is not None:
            floor = history.floor(spec, hour_of(last.event_ns))
            past[_name(spec)] = [last.event_ns, last.recv_ns, floor is not None and floor.gap]
    return past


class TapedPast:
    """The vault's own past where it has one, else what the tape's start says."""

    def __init__(self, taped: object, vault: History) -> None:
        self._taped = taped if isinstance(taped, dict) else {}
        self._vault = vault

    def admit(self, spec: BookSpec) -> None:
        """Take note of a book that will be recorded."""
        self._vault.admit(spec)

    def newest(self, spec: BookSpec) -> LastLine | None:
        """Return the newest line of a book."""
        found = self._vault.newest(spec)
        if found is not None:
            return found
        match self._taped.get(_name(spec)):
            case [int(event_ns), None | int() as recv_ns, bool()]:
                return LastLine(event_ns, recv_ns)
        return None

    def floor(self, spec: BookSpec, hour: int) -> Floor | None:
        """Return the last line of one hour file."""
        found = self._vault.floor(spec, hour)
        if found is not None:
            return found
        match self._taped.get(_name(spec)):
            case [int(event_ns), None | int(), bool(gap)] if hour_of(event_ns) == hour:
                return Floor(event_ns, gap)
        return None

    def open_gaps(self, spec: BookSpec) -> list[OpenGap]:
        """Return the gaps of earlier runs whose end the ledger does not tell."""
        return self._vault.open_gaps(spec)

    def takes_lines(self, spec: BookSpec, hour: int) -> bool:
        """Tell whether an hour may still grow."""
        return self._vault.takes_lines(spec, hour)


def _name(spec: BookSpec) -> str:
    return f"{spec.dataset}/{spec.inst}"


Made = dict[str, dict[int, Line]]
"""The last line that a replay has made of each book and hour, whether or not it had to be written."""


class MadePast:
    """What a replay's earlier runs have made, before what the vault holds.

    A replay that was killed and is repeated finds its own later lines in the vault; its second run must yet begin
    behind what its first run made, as it did before.
    """

    def __init__(self, made: Made, beyond: History) -> None:
        self._made = {name: dict(hours) for name, hours in made.items()}
        self._now = made
        self._beyond = beyond

    def saw(self, record: Record) -> None:
        """Take note of a line that this run has made."""
        if not isinstance(record, LedgerRecord):
            self._now.setdefault(_name(record.spec), {})[hour_of(record.event_ns)] = record

    def admit(self, spec: BookSpec) -> None:
        """Take note of a book that will be recorded."""
        self._beyond.admit(spec)

    def newest(self, spec: BookSpec) -> LastLine | None:
        """Return the newest line of a book."""
        hours = self._made.get(_name(spec))
        if not hours:
            return self._beyond.newest(spec)
        last = hours[max(hours)]
        return LastLine(last.event_ns, last.recv_ns)

    def floor(self, spec: BookSpec, hour: int) -> Floor | None:
        """Return the last line of one hour."""
        last = self._made.get(_name(spec), {}).get(hour)
        return self._beyond.floor(spec, hour) if last is None else Floor(last.event_ns, last.gap)

    def open_gaps(self, spec: BookSpec) -> list[OpenGap]:
        """Return the gaps of earlier runs whose end the ledger does not tell."""
        return self._beyond.open_gaps(spec)

    def takes_lines(self, spec: BookSpec, hour: int) -> bool:
        """Tell whether an hour may still grow."""
        return self._beyond.takes_lines(spec, hour)
