"""Whether the three datasets of a channel of orders are what the exchange's truth makes of them, line by line.

Each line is of a moment: where messages of a book are numbered it is named by its `seqId`, else by the frame that
arrived at its `received_utc`. An episode is known from the moment of its `live` mark to that of its `gap` mark, and
between them every event must stand, in order, each with its number. Whole books and levels are those of the truth at
their moment, and must lie within the episode they name.

Lines that would not ascend in their file are not written (docs/FORMAT.md): an episode can lack its first lines where
it begins within the moment at which the last one ended, and nothing else excuses a line that is missing.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from l2_exporter.core.timetext import utc_ns, utc_text
from l2_exporter.core.venue import Channel, Scope
from l2_exporter.simulator.ordertruth import OrderRow, levels_of
from l2_exporter.simulator.wire import Kind
from tests.tools.contract_causes import LINK_NUMBERS, NS_PER_US, damaged, loaded
from tests.tools.contract_orders import Story, Told
from tests.tools.replaying import hour_files, ledger
from tests.tools.wired import Heard, Wired

Line = dict[str, Any]
Moment = tuple[int, int]
"""A message's place in its story, and how many events had been told."""
MARKS = ("live", "gap")

TOLD_OF: Mapping[str, Callable[[Any], str | None]] = {
    "bitfinex": lambda message: str(message[1][0]) if isinstance(message[1], list) else None,
}
"""Which order a frame tells of, None for none, where each event of a message comes in a frame of its own."""


class Datasets(NamedTuple):
    """Where a book of orders is archived: by the ledger, which names the first and lists the others."""

    events: str
    books: str
    levels: str


@dataclass(frozen=True, slots=True)
class Episode:
    """One life of a book in its event file.

    Attributes:
        begin, end: the moments between which it is known; end is that of the last line.
        lines: in order.
        wrong: those that are not what the exchange told.
    """

    live_since: str
    begin: Moment
    end: Moment
    lines: list[Line]
    wrong: list[Line]

    @property
    def is_over(self) -> bool:
        """Whether a `gap` mark ends it."""
        return bool(self.lines[-1]["type"] == "gap")

    @property
    def has_mark(self) -> bool:
        """Whether its first line stands in the file."""
        return bool(self.lines[0]["type"] == "live")

    def holds(self, moment: Moment) -> bool:
        """Tell whether a moment lies in it; messages that tell of no order can come behind its last line."""
        return self.begin <= moment and (moment <= self.end if self.is_over else moment[1] <= self.end[1])


class OrderArchive:
    """The lines of one run's books of orders, and what is wrong with them."""

    def __init__(self, vault: Path, wired: Wired, channel: Channel, insts: tuple[str, ...]) -> None:
        self._vault = vault
        self._wired = wired
        self._channel = channel
        self._insts = insts
        self._damaged = damaged(wired)

    @cached_property
    def stories(self) -> dict[str, Story]:
        """What the channel told of each instrument."""
        venue, truth = self._wired.exchange.settings.venue, self._wired.exchange.truth
        return {inst: Story(self._channel, venue, inst, truth) for inst in self._insts}

    @cached_property
    def datasets(self) -> dict[str, Datasets]:
        """Where the ledger says that each instrument's book is."""
        found = {}
        for line in ledger(self._vault):
            if line["kind"] in MARKS:
                books, levels = line["detail"]["also"]
                found[line["instId"]] = Datasets(line["detail"]["dataset"], books, levels)
        return found

    @cached_property
    def _lines(self) -> dict[tuple[str, str], list[Line]]:
        """The lines of all hour files in order, by dataset and instrument."""
        found: dict[tuple[str, str], list[Line]] = defaultdict(list)
        for path, lines in hour_files(self._vault).items():
            for raw in lines:
                line = orjson.loads(raw)
                found[path.split("/")[2], line["instId"]].append(line)
        return found

    def events(self, inst: str) -> list[Line]:
        """Return the lines of events and marks of a book."""
        return self._of(inst, 0)

    def books(self, inst: str) -> list[Line]:
        """Return the lines with whole books of orders."""
        return self._of(inst, 1)

    def levels(self, inst: str) -> list[Line]:
        """Return the lines with levels."""
        return self._of(inst, 2)

    def _of(self, inst: str, which: int) -> list[Line]:
        return self._lines[self.datasets[inst][which], inst] if inst in self.datasets else []

    def strangers(self) -> list[tuple[str, str]]:
        """List the datasets in the vault that the ledger says nothing of."""
        named = {(dataset, inst) for inst, datasets in self.datasets.items() for dataset in datasets}
        return sorted({*self._lines} - named)

    # ---- moments ----------------------------------------------------------------------------------------------------

    def moment(self, line: Line) -> Moment | None:
        """Tell of which moment a line says that it is; None: the exchange had none such."""
        story = self.stories[line["instId"]]
        if self._channel.scope is Scope.LINK:
            frame = self._frames.get((line["instId"], utc_ns(line["received_utc"]) // NS_PER_US))
            if frame is None or LINK_NUMBERS[line["exchange"]](loaded(frame.data)) != line["seqId"]:
                return None
            return self._moment_of(frame)
        place = story.places.get(line["seqId"])
        return None if place is None else (place, story.behind[place])

    def _moment_of(self, frame: Heard) -> Moment | None:
        """Tell which event had been told behind a frame of a book, the last of its message if it tells of no order."""
        push = frame.push
        story = None if push is None else self.stories[push.inst]
        if push is None or story is None:
            return None
        place = story.places[push.seq]
        told_of = TOLD_OF.get(self._wired.exchange.settings.venue)
        if told_of is None or push.kind is Kind.SNAPSHOT:
            return place, story.behind[place]
        order_id, first = told_of(loaded(frame.data)), story.begin(place)
        if order_id is None:  # a checksum, behind all orders
            return place, story.behind[place]
        ids = [told.order_id for told in story.told[first : story.behind[place]]]
        return place, first + ids.index(order_id) + 1

    @cached_property
    def _frames(self) -> dict[tuple[str, int], Heard]:
        return {
            (heard.push.inst, heard.recv_ns // NS_PER_US): heard
            for heard in self._wired.heard
            if heard.push is not None
        }

    @cached_property
    def _arrivals(self) -> dict[tuple[str, int], set[str]]:
        """When each message arrived, by instrument and number."""
        found: dict[tuple[str, int], set[str]] = defaultdict(set)
        for heard in self._wired.heard:
            if heard.push is not None:
                found[heard.push.inst, heard.push.seq].add(utc_text(heard.recv_ns, 6))
        return found

    # ---- episodes ---------------------------------------------------------------------------------------------------

    @cached_property
    def episodes(self) -> dict[str, list[Episode]]:
        """The lives of each book, in order."""
        return {inst: [*self._episodes(inst)] for inst in self._insts}

    def _episodes(self, inst: str) -> Iterator[Episode]:
        lines = self.events(inst)
        starts = [
            place
            for place, line in enumerate(lines)
            if not place
            or line["live_since_utc"] != lines[place - 1]["live_since_utc"]
            or line["n"] <= lines[place - 1]["n"]
        ]
        for start, end in pairwise([*starts, len(lines)]):
            yield self._episode(lines[start:end], lines[start - 1] if start else None)

    def _episode(self, lines: list[Line], before: Line | None) -> Episode:
        first = lines[0]
        begin = self.moment(first) if first["type"] == "live" else self._reckoned(first, before)
        if begin is None:
            return Episode(first["live_since_utc"], (0, 0), (0, 0), lines, lines)
        wrong, number, end = [], first["n"] - 1, begin
        for line in lines:
            at = self._checked(line, begin[1], number)
            wrong += [line] if at is None else []
            number, end = line["n"], at or end
        return Episode(first["live_since_utc"], begin, end, lines, wrong)

    def _reckoned(self, first: Line, before: Line | None) -> Moment | None:
        """Reckon where an episode began whose first lines are missing; None: they had no reason to be."""
        story, moment = self.stories[first["instId"]], self.moment(first)
        if moment is None or before is None or _told(first) not in story.told[story.begin(moment[0]) : moment[1]]:
            return None
        last = story.told.index(_told(first), story.begin(moment[0]))
        begun = last + 1 - first["n"]
        stamp = first["live_since_utc"] if first["n"] == 1 else self._stamp(story, story.place_of(last))
        is_excused = begun >= 0 and (stamp, first["n"] - 1) <= (before["timestamp_utc"], before["n"])
        return (story.place_of(begun), begun) if is_excused else None

    def _checked(self, line: Line, begun: int, before: int) -> Moment | None:
        """Return the moment of an event line of an episode that began at a number, None if it is not true."""
        story, moment = self.stories[line["instId"]], self.moment(line)
        if moment is None or line["n"] != before + 1:
            return None
        place, number = moment
        if line["type"] in MARKS:
            is_true = number == begun + max(line["n"] - 1, 0) and _told(line) == (line["type"], *[None] * 8)
            is_true &= (line["n"] == 0) is (line["type"] == "live")
        else:
            number = begun + line["n"]
            is_true = story.begin(place) < number <= story.behind[place] and story.told[number - 1] == _told(line)
            is_true &= number == moment[1] or self._channel.scope is Scope.BOOK
            is_true &= line["received_utc"] in self._arrivals[line["instId"], story.messages[place].seq]
        return (place, number) if is_true and line["timestamp_utc"] == self._stamp(story, place) else None

    def _stamp(self, story: Story, place: int) -> str:
        return utc_text(story.messages[place].ts_ns, self._channel.time_decimals)

    # ---- lines ------------------------------------------------------------------------------------------------------

    def wrong(self, levels: Sequence[Line]) -> list[Line]:
        """List the lines that are not the exchange's truth, or lie where their episode is not known.

        Args:
            levels: of all books.
        """
        found: list[Line] = []
        for inst in self._insts:
            episodes = self.episodes[inst]
            found += [line for episode in episodes for line in episode.wrong]
            found += [episode.lines[-1] for episode in episodes[:-1] if not episode.is_over]
            found += [line for line in self.books(inst) if not self._is_true(line, self._order_rows)]
        return found + [line for line in levels if not self._is_true(line, _level_rows)]

    def _is_true(self, line: Line, rows: "RowsOf") -> bool:
        moment, story = self.moment(line), self.stories[line["instId"]]
        if moment is None or line["timestamp_utc"] != self._stamp(story, moment[0]):
            return False
        lives = [each for each in self.episodes[line["instId"]] if each.live_since == line["live_since_utc"]]
        episode = next((each for each in lives if each.holds(moment)), None)
        if episode is None and lives:
            return False
        if "n" in line and (episode is None or line["n"] - line["gap_detected"] != moment[1] - episode.begin[1]):
            return False
        depth = next(int(name.removeprefix("bids_top")) for name in line if name.startswith("bids_top"))
        wanted = [rows(side, depth, episode, moment) for side in story.book(moment[1])]
        return [line[f"bids_top{depth}"], line[f"asks_top{depth}"]] == wanted

    def _order_rows(self, side: "Side", depth: int, episode: Episode | None, moment: Moment) -> list[list[str | None]]:
        """Write one side as a whole-book line has it."""
        assert episode is not None
        entered = self.entered(episode, moment[1])
        prices = dict.fromkeys(row[0] for row in side)
        shown = {*[*prices][:depth]}
        return [[*row, entered.get(row[2])] for row in side if row[0] in shown]

    def entered(self, episode: Episode, number: int) -> dict[str, str]:
        """Tell when orders came to rest since an episode began, by their ids."""
        story = self.stories[episode.lines[0]["instId"]]
        return {
            story.told[at].order_id: self._stamp(story, story.place_of(at + 1))
            for at in range(episode.begin[1], number)
            if story.told[at].type == "open"
        }

    def ends_within(self, line: Line) -> bool:
        """Tell whether a side has fewer levels than the line could hold because the venue's window is full, or nearly.

        Nearly: more than nine tenths (docs/FORMAT.md, "The levels"): orders leave it and come into it by two frames.
        """
        moment, window = self.moment(line), self._channel.window
        if window is None or moment is None:
            return False
        sides = self.stories[line["instId"]].book(moment[1])
        return any(10 * len(side) > 9 * window and len(levels_of(side)) < (self._channel.depth or 0) for side in sides)

    def behind(self, conns: Mapping[str, str | None]) -> list[str]:
        """List the live books that lack events of what came for them, intact.

        Args:
            conns: of the live books, by instrument.
        """
        found = []
        for inst, conn in conns.items():
            came = [
                self._moment_of(heard)
                for place, heard in enumerate(self._wired.heard)
                if heard.push is not None
                and (heard.conn, heard.push.inst) == (conn, inst)
                and place not in self._damaged
            ]
            newest = max(moment[1] for moment in came if moment is not None)
            last = self.episodes[inst][-1] if self.episodes[inst] else None
            if last is None or last.end[1] < newest or (last.is_over and not self._begins_within(last)):
                found.append(inst)
        return found

    def _begins_within(self, last: Episode) -> bool:
        """Tell whether the newest episode began at the moment at which its file ends: nothing of it would ascend."""
        end = last.lines[-1]
        lives = [line for line in ledger(self._vault) if (line["kind"], line["instId"]) == ("live", end["instId"])]
        return bool(lives[-1]["until_event"] == end["timestamp_utc"])

    def spans(self, inst: str, seq: int) -> bool:
        """Tell whether a message lies in an episode, which says that it is known."""
        story = self.stories[inst]
        lives = [(episode.begin[0], self._whole_until(story, episode.end)) for episode in self.episodes[inst]]
        return any(begin < story.places[seq] <= end for begin, end in lives)

    def _whole_until(self, story: Story, end: Moment) -> int:
        """Tell the last message of which nothing can be missing; of one that comes in several frames, some can."""
        is_whole = self._channel.scope is Scope.BOOK and story.behind[end[0]] == end[1]
        return end[0] if is_whole else end[0] - 1

    def begun(self, inst: str, live_since: str) -> int | None:
        """Tell behind which message an episode began, the first of that name; None: none of its lines stands."""
        named = [episode.begin[0] for episode in self.episodes[inst] if episode.live_since == live_since]
        return named[0] if named else None


Side = tuple[OrderRow, ...]
RowsOf = Callable[[Side, int, Episode | None, Moment], list[list[str | None]]]


def _level_rows(side: Side, depth: int, episode: Episode | None, moment: Moment) -> list[list[str | None]]:
    """Write one side as a line of levels has it."""
    return [[*row] for row in levels_of(side)[:depth]]


def _told(line: Line) -> Told:
    return Told(*(line[name] for name in Told._fields))
