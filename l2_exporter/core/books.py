"""The books of one feed: a keeper for each, made at its first appearance or at the start."""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from l2_exporter.core.errors import VenueError, cut
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.keeper import Keeper
from l2_exporter.core.records import BookSpec, BookSpecs
from l2_exporter.core.recovery import Recovery
from l2_exporter.core.sampling import Sampler
from l2_exporter.core.surroundings import Surroundings
from l2_exporter.core.timetext import NS_PER_MS, NS_PER_S
from l2_exporter.core.venue import Channel, Seeding, Venue, dataset_of, order_datasets_of

BookKey = tuple[str, str]
"""(channel, instrument), both in the venue's own words."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How books are recorded.

    Attributes:
        connections: which books each connection subscribes; they are recorded from the start on. Empty in recordings.
        only: those that may be recorded; None: all that have frames.
        run: distinguishes the ids of this run's gaps from all others'.
        codes: what the wire calls instruments that it does not call by their id.
        order_books_ns: book time between two whole books of orders; max_orders: of a book that are held.
        checksum_resync: mismatches in a row that are a loss where a sequence proves continuity too; 0: never.
    """

    cadence_ns: int = 2 * NS_PER_S
    depth: int = 400
    grace_ns: int = NS_PER_S
    connections: Mapping[str, Sequence[BookKey]] = field(default_factory=dict)
    only: Collection[BookKey] | None = None
    checksum_resync: int = 3
    jitter_seed: int = 0
    run: str = "run"
    codes: Mapping[str, str] = field(default_factory=dict)
    order_books_ns: int = 60 * NS_PER_S
    max_orders: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Answer:
    """A REST answer with a book."""

    status: int
    body: str
    stamp: Stamp


class Books:
    """The keepers of one feed.

    Attributes:
        keepers: by (channel, instrument), in order of first appearance.
    """

    def __init__(self, venue: Venue, settings: Settings, shared: Surroundings) -> None:
        self.keepers: dict[BookKey, Keeper] = {}
        self._venue = venue
        self._settings = settings
        self._shared = shared
        self._only = None if settings.only is None else {*settings.only}

    def join(self, conn: str, books: Sequence[BookKey], stamp: Stamp) -> list[BookKey]:
        """Make keepers of books that were not recorded so far, assigned to a connection; return which."""
        new = [book for book in books if book not in self.keepers]
        for book in new:
            if self._only is not None:
                self._only.add(book)
            keeper = self.keeper(*book, stamp)
            if keeper is not None:
                keeper.assigned = conn
        return new

    def keeper(self, channel: str, inst: str, stamp: Stamp) -> Keeper | None:
        """Return the keeper of a book, a new one at its first appearance; None for a book that is not recorded.

        Raises:
            VenueError: the instrument's id can be no file name.
            ConfigError: another instrument has the same path on some file system.
        """
        keeper = self.keepers.get((channel, inst))
        if keeper is not None:
            return keeper
        if self._only is not None and (channel, inst) not in self._only:
            return None
        specs = self.specs(channel, inst)
        for spec in specs.all:
            self._shared.history.admit(spec)
        recovery = Recovery(random.Random(f"{self._settings.jitter_seed}/{channel}/{inst}"))
        keeper = self.keepers[channel, inst] = Keeper(
            specs, self._shared, partial(self._sampler, specs), recovery, self._cadences(specs)
        )
        keeper.started(stamp)
        return keeper

    def replied(self, inst: str, levels: int | None, answer: Answer) -> None:
        """Offer a REST answer to the books of an instrument.

        On a tape without a beginning the answer can stand before the first frame: then it makes the book known.

        Args:
            levels: how many a side were asked for, None if the request did not say.
        """
        name, default = next(iter(self._venue.channels.items()))
        known = any(key[1] == inst for key in self.keepers)
        if not known and default.seeding is Seeding.REST and not self._settings.connections:
            self.keeper(name, inst, answer.stamp)
        for (channel, held), keeper in self.keepers.items():
            if held == inst and not self._venue.channels[channel].whole:
                self._offer(keeper, levels, answer)

    def _offer(self, keeper: Keeper, levels: int | None, answer: Answer) -> None:
        """Offer an answer to one book, cut to what its channel knows; one with fewer levels is of no use to it."""
        spec = keeper.spec
        channel = self._venue.channels[spec.channel]
        limited = channel.seeding is Seeding.REST
        try:
            if answer.status != 200:
                raise VenueError(f"HTTP status {answer.status}")
            if levels is not None and not limited and (channel.depth is None or levels < channel.depth):
                raise VenueError(f"{levels} levels were asked for, the channel has {channel.depth or 'all'}")
            book = self._venue.decode_book(spec.channel, spec.inst, answer.body)
        except VenueError as error:
            keeper.says.note("resync", answer.stamp, reason="rest_failed", detail={"error": cut(str(error))})
        else:
            keeper.replied(book, _known_levels(channel, levels) if limited else None, answer.stamp)

    def _cadences(self, specs: BookSpecs) -> list[tuple[BookSpec, int]]:
        """Return each dataset with the milliseconds that a line of it stands for; events have none."""
        settings = self._settings
        datasets = ((specs.events, 0), (specs.books, settings.order_books_ns), (specs.levels, settings.cadence_ns))
        return [(spec, cadence_ns // NS_PER_MS) for spec, cadence_ns in datasets if spec is not None]

    def _sampler(self, specs: BookSpecs, spec: BookSpec) -> Sampler:
        """Make the buckets of one dataset."""
        cadence_ns = self._settings.order_books_ns if spec is specs.books else self._settings.cadence_ns
        return Sampler(cadence_ns, self._settings.grace_ns, partial(self._shared.history.floor, spec))

    def specs(self, name: str, inst: str) -> BookSpecs:
        """Describe a book: its datasets, depth and decimals."""
        channel = self._venue.channels[name]
        market = self._venue.market_of(inst)
        depth = self._settings.depth if channel.depth is None else min(self._settings.depth, channel.depth)
        dataset = dataset_of(market, channel)
        levels = BookSpec(self._venue.name, market, dataset, name, inst, depth, channel.time_decimals)
        if not channel.orders:
            return BookSpecs(levels)
        events, books = order_datasets_of(market, channel)
        return BookSpecs(levels, replace(levels, dataset=events), replace(levels, dataset=books))


def _known_levels(channel: Channel, asked: int | None) -> int | None:
    """Tell how many levels a side of a REST book are all that is known; None: there is nothing beyond it to know.

    That is so where the stream itself shows a window no deeper than the book: what comes into the window is told.
    """
    levels = asked or channel.seed_levels
    if levels is None or (channel.depth is not None and levels >= channel.depth):
        return None
    return levels
