"""When books were not live, by their losses in the ledger: what a manifest says of an hour."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from l2_exporter.core.records import LedgerRecord
from l2_exporter.core.timetext import HOUR_NS, NS_PER_MS, utc_text

Book = tuple[str, str]
"""Dataset and instrument."""
ALWAYS_NS = 0


@dataclass(slots=True)
class Loss:
    """A half-open window of book time in which nothing is known; `until_ns` None: it is not over."""

    id: str
    reason: str
    from_ns: int
    until_ns: int | None = None


@dataclass(slots=True)
class Windows:
    """The losses of one book.

    Attributes:
        first_live_ns: when it was live for the first time; ALWAYS_NS: before all that is known here; None: never.
    """

    first_live_ns: int | None = None
    losses: list[Loss] = field(default_factory=list)

    def gap(self, ident: str, reason: str, from_ns: int) -> None:
        """Begin a loss: before it the book was live."""
        if self.first_live_ns is None:
            self.first_live_ns = ALWAYS_NS
        self.losses.append(Loss(ident, reason, from_ns))

    def live(self, ident: str | None, until_ns: int) -> None:
        """End a loss, or begin the first episode."""
        if ident is None:
            self.first_live_ns = until_ns if self.first_live_ns is None else self.first_live_ns
            return
        for loss in reversed(self.losses):
            if loss.id == ident:
                loss.until_ns = until_ns
                return

    def prune(self, before_ns: int) -> None:
        """Forget what was over before a moment."""
        self.losses = [loss for loss in self.losses if loss.until_ns is None or loss.until_ns > before_ns]

    def of_hour(self, hour: int) -> "HourWindows":
        """Cut what is known at an hour."""
        start_ns, end_ns = hour * HOUR_NS, (hour + 1) * HOUR_NS
        first = end_ns if self.first_live_ns is None else self.first_live_ns
        losses = _distinct(loss for loss in self.losses if _touches(loss, start_ns, end_ns))
        cuts = [(start_ns, min(first, end_ns))] if first > start_ns else []
        for loss in losses:
            until_ns = end_ns if loss.until_ns is None else loss.until_ns
            cuts.append((max(loss.from_ns, start_ns), min(until_ns, end_ns)))
        episodes, at_ns, dead_ns = [], start_ns, 0
        for from_ns, until_ns in sorted(cuts):
            if from_ns > at_ns:
                episodes.append((at_ns, from_ns))
            dead_ns += max(0, until_ns - max(from_ns, at_ns))
            at_ns = max(at_ns, until_ns)
        if at_ns < end_ns:
            episodes.append((at_ns, end_ns))
        return HourWindows(episodes, losses, dead_ns)


@dataclass(frozen=True, slots=True)
class HourWindows:
    """An hour's episodes, the losses that touch it, and how long the book was not live in it."""

    episodes: list[tuple[int, int]]
    losses: list[Loss]
    not_live_ns: int

    def fields(self, decimals: int) -> dict[str, object]:
        """Write them as a manifest has them."""
        return {
            "episodes": [
                {"from": utc_text(begin, decimals), "until": utc_text(end, decimals)} for begin, end in self.episodes
            ],
            "losses": [
                {
                    "id": loss.id,
                    "reason": loss.reason,
                    "from": utc_text(loss.from_ns, decimals),
                    "until": None if loss.until_ns is None else utc_text(loss.until_ns, decimals),
                }
                for loss in self.losses
            ],
            "not_live_s": self.not_live_ns // NS_PER_MS / 1000,
        }


class AllWindows:
    """The windows of every book of a venue, kept up as the ledger grows."""

    def __init__(self) -> None:
        self._books: dict[Book, Windows] = {}

    def of(self, book: Book) -> Windows:
        """Return those of one book."""
        return self._books.setdefault(book, Windows())

    def noted(self, record: LedgerRecord, at_ns: int) -> None:
        """Take note of a line of the ledger."""
        if record.spec is None or record.kind not in ("gap", "live"):
            return
        also = (record.detail or {}).get("also")
        datasets = [record.spec.dataset, *(also if isinstance(also, list) else [])]
        for dataset in datasets:
            windows = self.of((dataset, record.spec.inst))
            if record.kind == "gap":
                from_ns = _first(record.since_event_ns, record.since_recv_ns, at_ns)
                windows.gap(record.id or "", record.reason or "", from_ns)
            else:
                windows.live(record.id, _first(record.until_event_ns, record.until_recv_ns, at_ns))


def _touches(loss: Loss, start_ns: int, end_ns: int) -> bool:
    """Tell whether a loss lies in an hour, in part at least; one that ends where it begins lies where that is."""
    if loss.until_ns is not None and loss.until_ns < loss.from_ns:
        return False  # told by a replay of what was there already
    ends_ns = end_ns if loss.until_ns is None else max(loss.until_ns, loss.from_ns + 1)
    return loss.from_ns < end_ns and ends_ns > start_ns


def _distinct(losses: Iterable[Loss]) -> list[Loss]:
    """Leave out what a repeated replay has told again."""
    found: dict[tuple[str, int, int | None], Loss] = {}
    for loss in losses:
        found.setdefault((loss.reason, loss.from_ns, loss.until_ns), loss)
    return sorted(found.values(), key=lambda loss: loss.from_ns)


def _first(*times: int | None) -> int:
    return next(time for time in times if time is not None)
