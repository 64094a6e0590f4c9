"""Channels of orders: the archive is the exchange's own account of each order, and any moment can be built again.

That single lines are true, in whatever goes wrong, is asserted by the other tests here for these channels as for all
others. Here the whole account is held against the exchange's, from its first event to its last.
"""

from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from l2_exporter.archive.find import ArchivedBook, books
from l2_exporter.archive.orders_rebuild import Moment, UnknownMomentError, rebuild
from l2_exporter.core.timetext import NS_PER_MS, utc_ns
from l2_exporter.simulator.ordertruth import levels_of
from tests.tools.contract import Recording, Subject, recorded, subjects
from tests.tools.contract_episodes import Datasets, Episode, OrderArchive
from tests.tools.contract_orders import SIDES, Told

order_channels = [each for each in subjects() if each.channel.orders]
every_order_channel = pytest.mark.parametrize("subject", order_channels, ids=str)

DATASETS = {
    "coinbase-full": Datasets("l3_spot", "l3_spot_books", "l2_spot.from_l3"),
    "bitfinex-book-R0": Datasets("l3_spot", "l3_spot_books", "l2_spot.from_l3"),
    "bitfinex-book-R0-25": Datasets("l3_spot.25", "l3_spot_books.25", "l2_spot.from_l3-25"),
    "bitso-diff-orders": Datasets("l3_spot", "l3_spot_books", "l2_spot"),
}
KINDS = {
    "coinbase": {"open", "change", "match", "done"},
    "bitfinex": {"open", "change", "done"},
    "bitso": {"open", "change", "done"},
}
"""What a venue tells of orders. Bitso's trades are changes of makers and `done` ones, filled."""
REASONS = {
    "coinbase": {"filled", "canceled", "modify_order", "STP", None},
    "bitfinex": {None},
    "bitso": {"filled", "canceled", None},
}


def orders_of(recording: Recording) -> OrderArchive:
    assert recording.orders is not None
    return recording.orders


def account(lines: list[dict[str, Any]]) -> list[Told]:
    return [Told(*(line[name] for name in Told._fields)) for line in lines if line["type"] not in ("live", "gap")]


def test_what_is_tested_here_is_every_channel_of_orders() -> None:
    assert {str(each) for each in order_channels} == {*DATASETS}


@pytest.fixture(scope="module", params=order_channels, ids=str)
def losing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """A run in which the first book is lost three times; nothing changes it any more."""
    faults = "drop@5s/{A},reorder@9s/{A},close@13s/{A}"
    recording = recorded(request.param, tmp_path_factory.mktemp("losing") / "v", faults, seed=5, interval_ms=250)
    assert recording.wrong() == []
    return recording


@every_order_channel
def test_events_are_all_that_the_exchange_told_from_the_first_book_on(subject: Subject, tmp_path: Path) -> None:
    recording = recorded(subject, tmp_path / "v", interval_ms=100, seconds=7)
    orders, story = orders_of(recording), orders_of(recording).stories[recording.insts[0]]
    assert recording.wrong() == []
    assert story.holds_together()
    lines = orders.events(story.inst)
    (episode,) = orders.episodes[story.inst]
    assert (lines[0]["type"], lines[0]["n"]) == ("live", 0)
    told = account(lines)
    assert told == story.told[episode.begin[1] : episode.begin[1] + len(told)]
    assert [line["n"] for line in lines] == [*range(len(told) + 1)]
    assert recording.behind() == []  # and the last of them is of the last message that came
    assert {one.type for one in told} == KINDS[subject.venue.name]
    assert {one.reason for one in told} == REASONS[subject.venue.name]


def test_the_ledger_names_the_three_datasets_and_there_are_no_others(losing: Recording) -> None:
    orders, subject = orders_of(losing), losing.subject
    wanted = DATASETS[str(subject)]
    by_market = {"spot": wanted, "perp": Datasets(*(name.replace("spot", "perps") for name in wanted))}
    assert orders.datasets == {inst: by_market[subject.venue.market_of(inst)] for inst in losing.insts}
    assert orders.strangers() == []


def test_each_episode_has_whole_books_at_its_beginning_now_and_then_and_at_its_loss(losing: Recording) -> None:
    orders, inst = orders_of(losing), losing.insts[0]
    assert [episode.is_over for episode in orders.episodes[inst]] == [True, True, True, False]
    whole = orders.books(inst)
    assert [line["gap_detected"] for line in whole].count(True) == 3
    for episode in orders.episodes[inst]:
        lines = [line for line in whole if line["live_since_utc"] == episode.live_since]
        numbers = [line["n"] for line in lines]
        assert numbers[0] == 0
        assert numbers == sorted(numbers)
        assert len(numbers) >= 2
        if episode.is_over:
            assert (numbers[-1], lines[-1]["gap_detected"]) == (episode.lines[-1]["n"], True)


def test_what_a_loss_took_stands_nowhere(losing: Recording) -> None:
    orders, inst = orders_of(losing), losing.insts[0]
    story, episodes = orders.stories[inst], orders.episodes[inst]
    faults = [fault for fault in losing.wired.exchange.truth.faults if fault.fault in ("drop", "reorder")]
    for fault, (before, after) in zip(faults, [*pairwise(episodes)][:2], strict=True):
        assert before.end[0] <= story.places[fault.seq_to or 0] <= after.begin[0]
    for before, after in pairwise(episodes):
        since, until = before.lines[-1]["timestamp_utc"], after.live_since
        for lines in (orders.events(inst), orders.books(inst), orders.levels(inst)):
            assert [line for line in lines if since < line["timestamp_utc"] < until] == []
    lives = {episode.live_since for episode in episodes}
    for lines in (orders.events(inst), orders.books(inst), orders.levels(inst)):
        assert {line["live_since_utc"] for line in lines} == lives
    gaps = [line["since_event"] for line in losing.evidence.ledger if (line["kind"], line["instId"]) == ("gap", inst)]
    assert gaps == [episode.lines[-1]["timestamp_utc"] for episode in episodes[:-1]]


# ---- any moment ------------------------------------------------------------------------------------------------------


class Rebuilder:
    """Builds the book of the first instrument at any moment, from its files alone."""

    def __init__(self, recording: Recording) -> None:
        self.orders, self.inst, self.root = orders_of(recording), recording.insts[0], recording.vault
        held, venue = books(self.root), recording.subject.venue.name
        named = [ArchivedBook(venue, dataset, self.inst) for dataset in self.orders.datasets[self.inst]]
        self._book, (self._events, self._books, self._levels) = named[0], (held[each] for each in named)
        self.story = self.orders.stories[self.inst]
        self.episodes = self.orders.episodes[self.inst]
        lines = [lines(self.inst) for lines in (self.orders.events, self.orders.books, self.orders.levels)]
        self.newest_ns = max(utc_ns(line["timestamp_utc"]) for of_dataset in lines for line in of_dataset)

    def at(self, ns: int) -> Moment:
        """Build it."""
        return rebuild(self.root, self._book, self._events, self._books, self._levels, ns)

    def known(self, ns: int) -> Episode | None:
        """Tell in which episode a moment is known."""
        begun = [episode for episode in self.episodes if utc_ns(episode.live_since) <= ns]
        if not begun:
            return None
        end_ns = utc_ns(begun[-1].lines[-1]["timestamp_utc"]) if begun[-1].is_over else self.newest_ns
        return begun[-1] if ns <= end_ns else None

    def check(self, ns: int) -> bool:
        """Hold a moment against the exchange's truth: the same orders in the same queues, or no answer at all.

        Returns: whether it is known.
        """
        episode = self.known(ns)
        if episode is None:
            with pytest.raises(UnknownMomentError):
                self.at(ns)
            return False
        # At the very moment of a loss, what was lost may be of it too.
        number = min(self.story.number_at(ns), episode.end[1])
        made, sides = self.at(ns), self.story.book(number)
        assert made.last.live_since_utc == episode.live_since
        entered = self.orders.entered(episode, number)
        for name, side in zip(SIDES, sides, strict=True):
            rows = made.book.sides[name]
            assert [*rows.orders(1000)] == [[*row, entered.get(row[2])] for row in side]
            assert [*rows.side.top(1000)] == [[*row] for row in levels_of(side)]
        return True


def moments(told: Rebuilder, dice: Random, count: int) -> list[int]:
    """Choose moments: at events and just beside them, at the ends of episodes, within losses, and anywhere."""
    stamps = [utc_ns(line["timestamp_utc"]) for line in told.orders.events(told.inst)]
    ends = [utc_ns(each.lines[-1]["timestamp_utc"]) for each in told.episodes[:-1]]
    begins = [utc_ns(each.live_since) for each in told.episodes]
    found = [at_ns + aside for at_ns in (*ends, *begins) for aside in (-1, 0, 1)]
    found += [
        dice.randrange(end, begin) for end, begin in zip(ends, begins[1:], strict=True) for _ in range(count // 20)
    ]
    found += [dice.choice(stamps) + dice.choice((0, -1, 1, 999)) for _ in range(count // 3)]
    first, last = stamps[0] - 50 * NS_PER_MS, told.newest_ns + 50 * NS_PER_MS
    return found + [dice.randrange(first, last) for _ in range(count - len(found))]


def assert_any_moment(recording: Recording, count: int) -> None:
    told = Rebuilder(recording)
    assert len(told.episodes) == 4
    assert [episode.has_mark for episode in told.episodes] == [True] * 4
    chosen = moments(told, Random(f"{recording.subject}/{count}"), count)
    assert len(chosen) == count
    known = [told.check(ns) for ns in chosen]
    assert known.count(False) > count // 10
    assert known.count(True) > count // 2


def test_any_moment_rebuilt_is_the_exchange_s_book_or_is_refused(losing: Recording) -> None:
    assert_any_moment(losing, 200)


@pytest.mark.soak
def test_many_moments_rebuilt_are_the_exchange_s_book_or_are_refused(losing: Recording) -> None:
    assert_any_moment(losing, 1000)
