"""Kraken's frames in the core: truncation, the checksum as the only proof, snapshots without a time."""

import json

from l2_exporter.core.books import Settings
from l2_exporter.core.commands import SendFrame
from l2_exporter.core.feed import Feed
from l2_exporter.core.history import NoHistory
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.records import LedgerRecord, SnapshotRecord
from l2_exporter.venues.kraken import Kraken
from tests.kraken_frames import INST, T0, TIME, ack, frame, rows

KRAKEN = Kraken()


class Told:
    """A feed that is told frames, 100 ms apart, with the checksum of what the test says the book is."""

    def __init__(self, depth: int = 10) -> None:
        self.feed = Feed(KRAKEN, Settings(cadence_ns=1, connections={"c": [("book-10", INST)]}), NoHistory())
        self.out: list[object] = []
        self.now_ns = T0
        self.out += self.feed.started(self.stamp())
        self.out += self.feed.link_opened("c", None, "live", self.stamp())
        self.hear(ack(depth))

    def stamp(self) -> Stamp:
        self.now_ns += 100_000_000
        return Stamp(self.now_ns, self.now_ns)

    def hear(self, text: str) -> None:
        self.out += self.feed.frame_received("c", text, self.stamp())

    def book(self, kind: str, bids: str, asks: str, after: tuple[str, str], time: str | None = TIME) -> None:
        """Tell a change, and what the book is after it."""
        checksum = KRAKEN.checksum(rows(after[0])[:10], rows(after[1])[:10])
        self.hear(frame(kind, bids, asks, str(checksum), time))

    def levels(self) -> tuple[list[list[str]], list[list[str]]]:
        book = self.feed.keepers["book-10", INST].state.book
        return book.bids.rows, book.asks.rows

    def losses(self) -> list[str | None]:
        return [each.reason for each in self.out if isinstance(each, LedgerRecord) and each.kind == "gap"]


TEN = " ".join(f"{price}.0:1.00000000" for price in range(100, 90, -1))
ASK = "101.0:2.00000000"


def test_levels_beyond_the_subscribed_depth_are_forgotten_and_come_back_when_they_are_told_again() -> None:
    told = Told()
    told.book("snapshot", TEN, ASK, (TEN, ASK))
    better = "100.5:3.00000000 " + TEN.removesuffix(" 91.0:1.00000000")
    told.book("update", "100.5:3.00000000", "", (better, ASK))
    assert told.levels()[0] == rows(better)
    # 91.0 left without a delete; the delete of 100.5 brings it back, told anew with what it is now.
    again = TEN.replace("91.0:1.00000000", "91.0:7.00000000")
    told.book("update", "100.5:0.00000000 91.0:7.00000000", "", (again, ASK))
    assert (told.levels()[0], told.losses()) == (rows(again), [])


def test_last_word_on_a_price_within_a_message_holds() -> None:
    told = Told()
    told.book("snapshot", "99.0:1.00000000", ASK, ("99.0:1.00000000", ASK))
    told.book("update", "98.0:1.00000000 98.0:0.00000000 98.0:2.00000000", "", ("99.0:1.00000000 98.0:2.00000000", ASK))
    assert (told.levels()[0], told.losses()) == (rows("99.0:1.00000000 98.0:2.00000000"), [])


def test_one_wrong_checksum_is_a_loss_the_line_shows_the_book_before_and_a_snapshot_ends_it() -> None:
    told = Told()
    told.book("snapshot", TEN, ASK, (TEN, ASK))
    told.hear(frame(bids="100.0:5.00000000", checksum="1"))
    assert told.losses() == ["checksum"]
    gap = [each for each in told.out if isinstance(each, SnapshotRecord)][-1]
    assert (gap.gap, gap.bids, gap.checksum_ok) == (True, rows(TEN), True)
    sent = [json.loads(each.text)["method"] for each in told.out if isinstance(each, SendFrame)]
    assert sent == ["subscribe", "unsubscribe", "subscribe"]
    told.hear(ack(10, method="unsubscribe"))
    told.hear(ack(10))
    told.book("snapshot", TEN, ASK, (TEN, ASK))
    assert told.levels() == (rows(TEN), rows(ASK))


def test_snapshot_without_time_is_dated_by_the_first_update() -> None:
    told = Told()
    told.book("snapshot", TEN, ASK, (TEN, ASK), time=None)
    changed = TEN.replace("100.0:1.00000000", "100.0:4.00000000")
    told.book("update", "100.0:4.00000000", "", (changed, ASK))
    told.out += told.feed.stopped(told.stamp())
    (line,) = [each for each in told.out if isinstance(each, SnapshotRecord)]
    assert (line.event_ns, line.live_since_ns, line.bids) == (T0, T0, rows(changed))
    kinds = [each.kind for each in told.out if isinstance(each, LedgerRecord)]
    assert kinds == ["connected", "subscribed", "event_time_odd", "live"]


def test_empty_book_whose_checksum_is_zero_is_no_fault() -> None:
    told = Told()
    told.book("snapshot", "99.0:1.00000000", "", ("99.0:1.00000000", ""))
    told.book("update", "99.0:0.00000000", "", ("", ""))
    told.book("update", "98.0:1.00000000", "", ("98.0:1.00000000", ""))
    assert (told.levels(), told.losses()) == ((rows("98.0:1.00000000"), []), [])
    assert [each for each in told.out if isinstance(each, LedgerRecord) and each.kind == "canary"] == []
