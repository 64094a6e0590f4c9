"""What is recorded of single orders: marks at the ends of an episode, events between, whole books now and then."""

from collections.abc import Sequence
from dataclasses import replace

from l2_exporter.core.records import OrderRecord, SnapshotRecord
from l2_exporter.core.state import Standing
from l2_exporter.core.venue import Seeding
from tests.tools.madeup import MS, ORDERS, T0, Driver

BIDS = [["100", "1", "b1"], ["100", "2", "b2"], ["99", "3", "b3"]]
ASKS = [["101", "1.50", "s1"]]
SECOND = 1_000


def live(*, at: int = 0, **settings: object) -> Driver:
    """Return a driver whose book of orders is live at number 10."""
    driver = Driver(ORDERS, **settings)  # type: ignore[arg-type]
    driver.send(at, "snapshot", seq=10, bids=BIDS, asks=ASKS)
    return driver


def told(events: Sequence[OrderRecord]) -> list[tuple[object, ...]]:
    """Return (number, type, order, size, remaining, sequence number, flags) of each."""
    rows = []
    for event in events:
        change = event.change
        sizes = (None, None, None) if change is None else (change.order_id, change.size, change.remaining)
        rows.append((event.number, event.type, *sizes, event.seq, event.flags))
    return rows


def of(driver: Driver, dataset: str) -> list[SnapshotRecord]:
    return [line for line in driver.lines if line.spec.dataset == dataset]


def test_an_episode_is_marked_and_its_events_are_numbered() -> None:
    driver = live()
    changes = [["set", "n", "buy", "99", "4"], ["match", "b1", None, None, "0.4"], ["done", "b2"]]
    driver.send(100, "delta", seq=11, prev=10, changes=changes)
    driver.send(200, "delta", seq=12, prev=11)  # says nothing of orders: it counts, and gives no line
    driver.send(300, "delta", seq=13, prev=12, changes=[["set", "b1", "buy", "100", "0.1"]])
    assert told(driver.events) == [
        (0, "live", None, None, None, 10, ()),
        (1, "open", "n", "4", "4", 11, ()),
        (2, "match", "b1", "0.4", "0.6", 11, ()),
        (3, "done", "b2", None, "2", 11, ()),
        (4, "change", "b1", "0.1", "0.1", 13, ()),
    ]
    assert {event.live_since_ns for event in driver.events} == {T0 * MS}
    assert [event.event_ns for event in driver.events] == [(T0 + at) * MS for at in (0, 100, 100, 100, 300)]
    assert {event.spec.dataset for event in driver.events} == {"l3_spot"}
    assert driver.levels() == ([["100", "0.1", "0", "1"], ["99", "7", "0", "2"]], [["101", "1.5", "0", "1"]])
    assert driver.counts() == (4, 4, 0, 0, 0, 0)


def test_an_episode_begins_with_its_whole_book_and_a_bucket_of_a_minute_ends_with_one() -> None:
    driver = live()
    driver.send(30 * SECOND, "delta", seq=11, prev=10, changes=[["set", "n", "buy", "99", "4"]])
    driver.send(61 * SECOND, "delta", seq=12, prev=11, changes=[["done", "n"]])
    driver.stop(62 * SECOND)
    first, second, third = of(driver, "l3_spot_books")
    assert (first.bids, first.asks) == ([[*order, None] for order in BIDS], [[*order, None] for order in ASKS])
    assert (first.events, first.event_ns, first.seq) == (0, T0 * MS, 10)
    assert second.bids[-1] == ["99", "4", "n", "2023-11-14T22:13:50.000Z"]
    assert (second.events, second.event_ns) == (1, (T0 + 30 * SECOND) * MS)
    assert (third.events, third.bids) == (2, first.bids)
    levels = of(driver, "l2_spot.from_l3")
    assert [(line.event_ns // MS - T0, line.bids[-1], line.events) for line in levels] == [
        (0, ["99", "3", "0", "1"], None),
        (30 * SECOND, ["99", "7", "0", "2"], None),
        (61 * SECOND, ["99", "3", "0", "1"], None),
    ]


def test_a_loss_is_marked_in_all_three_and_the_next_episode_says_what_came_before() -> None:
    driver = live()
    driver.send(100, "delta", seq=11, prev=10, changes=[["done", "b3"]])
    driver.send(200, "delta", seq=13, prev=12, changes=[["done", "b2"]])
    driver.send(5_000, "snapshot", seq=20, bids=BIDS[:1], asks=ASKS)
    driver.send(5_100, "delta", seq=21, prev=20, changes=[["set", "n", "buy", "99", "4"]])
    driver.stop(6_000)
    assert told(driver.events) == [
        (0, "live", None, None, None, 10, ()),
        (1, "done", "b3", None, "3", 11, ()),
        (2, "gap", None, None, None, 11, ("gap",)),
        (0, "live", None, None, None, 20, ("after_gap",)),
        (1, "open", "n", "4", "4", 21, ()),
    ]
    for dataset in ("l3_spot_books", "l2_spot.from_l3"):
        flags = [(line.gap, line.flags) for line in of(driver, dataset) if line.gap or line.flags]
        assert flags == [(True, ("gap",)), (False, ("after_gap",))]
    (gap,) = driver.said("gap")
    assert (gap.reason, gap.spec and gap.spec.dataset) == ("sequence", "l3_spot")
    assert (gap.detail or {})["also"] == ["l3_spot_books", "l2_spot.from_l3"]
    assert len({event.live_since_ns for event in driver.events}) == 2


def test_an_episode_that_begins_within_the_moment_of_the_loss_has_a_whole_book_as_soon_as_one_ascends() -> None:
    """The book it began with cannot be written, nor its mark: its file holds a line of that moment already."""
    driver = live()
    driver.send(100, "delta", seq=12, prev=11, changes=[["done", "b2"]])
    driver.send(5_000, "snapshot", seq=20, bids=BIDS, asks=ASKS, t=T0)
    driver.send(5_100, "delta", seq=21, prev=20, changes=[["set", "n", "buy", "99", "4"]])
    driver.send(5_200, "delta", seq=22, prev=21, changes=[["done", "n"]])
    books = [(line.event_ns // MS - T0, line.gap, line.events, line.flags) for line in of(driver, "l3_spot_books")]
    assert books == [(0, False, 0, ()), (0, True, 1, ("gap",)), (5_100, False, 1, ("after_gap",))]
    assert [row[0] for row in of(driver, "l3_spot_books")[-1].bids if row[2] == "n"] == ["99"]


def test_a_message_that_cannot_be_true_is_a_loss_without_the_lines_of_a_state_half_changed() -> None:
    driver = live()
    driver.send(2_100, "delta", seq=11, prev=10, changes=[["done", "b3"], ["match", "b1", None, None, "1.01"]])
    assert driver.standing() is Standing.SEEDING
    assert driver.losses() == [("AAA", "sequence")]
    (gap,) = driver.said("gap")
    assert (gap.detail or {})["odd_frame"] == "order b1 has 1 left, 1.01 of it were matched"
    assert told(driver.events)[-1] == (1, "gap", None, None, None, 10, ("gap",))
    assert [line.gap for line in driver.lines] == [False, False]
    assert of(driver, "l2_spot.from_l3")[0].event_ns == T0 * MS
    assert driver.counts() == (2, 1, 0, 0, 1, 0)


def test_a_book_that_cannot_be_seeds_nothing_and_another_is_asked_for() -> None:
    driver = Driver(ORDERS)
    driver.taken()
    driver.send(0, "snapshot", seq=10, bids=[*BIDS, ["98", "1", "b1"]], asks=ASKS)
    assert driver.standing() is Standing.SEEDING
    assert [(record.reason, record.detail) for record in driver.said("resync")] == [
        ("rest_failed", {"also": ["l3_spot_books", "l2_spot.from_l3"], "error": "order b1 is twice in a book"})
    ]
    driver.send(100, "snapshot", seq=11, bids=BIDS, asks=ASKS)
    assert driver.standing() is Standing.LIVE
    assert driver.counts() == (2, 1, 0, 0, 1, 0)


def test_too_many_orders_are_said_once_an_episode_and_marked_on_every_line() -> None:
    driver = live(max_orders=5, depth=4)
    driver.send(100, "delta", seq=11, prev=10, changes=[["set", "n", "buy", "98", "1"]])
    driver.send(
        200, "delta", seq=12, prev=11, changes=[["set", "m", "buy", "97", "1"], ["set", "o", "buy", "101", "1"]]
    )
    driver.send(300, "delta", seq=13, prev=12, changes=[["done", "b1"]])
    driver.stop(400)
    cut = [record for record in driver.said("canary") if record.reason == "max_orders"]
    assert [(record.detail or {})["orders"] for record in cut] == [5]
    assert [flags for *_, flags in told(driver.events)] == [(), (), *[("partial_depth",)] * 3]
    (line,) = of(driver, "l2_spot.from_l3")
    assert line.flags == ("partial_depth", "crossed")


def test_orders_join_a_rest_book_with_what_was_held_back() -> None:
    driver = Driver(replace(ORDERS, seeding=Seeding.REST))
    driver.send(100, "delta", seq=11, prev=10, changes=[["set", "n", "buy", "99", "4"]])
    driver.send(150, "delta", seq=12, prev=11, changes=[["done", "b2"]])
    driver.reply(200, 11, t=120, bids=[*BIDS, ["99", "4", "n"]], asks=ASKS)
    driver.send(300, "delta", seq=13, prev=12, changes=[["done", "n"]])
    assert told(driver.events) == [
        (0, "live", None, None, None, 12, ("seeded_from_rest",)),
        (1, "done", "n", None, "4", 13, ()),
    ]
    (book,) = of(driver, "l3_spot_books")
    assert [row[2] for row in book.bids] == ["b1", "b3", "n"]
    assert book.flags == ("seeded_from_rest",)
