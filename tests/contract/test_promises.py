"""What every venue promises as data: channels, limits, ids; and that both sides of the wire agree on it."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import pytest

from l2_exporter.archive.layout import Vault
from l2_exporter.core.venue import DATASETS, BookAsked, Continuity, Seeding, dataset_of
from l2_exporter.simulator.registry import DIALECTS
from l2_exporter.venues.registry import VENUES, venue_named, venue_of_url
from tests.tools.contract import Subject, defaults, exchange_of, levels, subjects
from tests.tools.listed import asked_for, codes_of

every_venue = pytest.mark.parametrize("subject", defaults(), ids=str)
every_channel = pytest.mark.parametrize("subject", subjects(), ids=str)


def test_every_venue_can_be_simulated_on_its_default_channel_at_least() -> None:
    assert sorted(VENUES) == sorted(DIALECTS)
    assert {str(each) for each in defaults()} <= {str(each) for each in subjects()}
    assert [(name, DIALECTS[name](1).name) for name in VENUES] == [(name, name) for name in VENUES]


def test_no_two_venues_share_a_host() -> None:
    for one, other in combinations(VENUES.values(), 2):
        for mine in one.hosts:
            for theirs in other.hosts:
                assert mine != theirs
                assert not mine.endswith("." + theirs)
                assert not theirs.endswith("." + mine)


@every_venue
def test_venue_is_known_by_its_name_and_by_its_sockets(subject: Subject) -> None:
    venue = subject.venue
    assert venue_named(venue.name) is venue
    urls = [venue.link.ws_url, *(channel.ws_url for channel in venue.channels.values() if channel.ws_url)]
    assert [venue_of_url(url) for url in urls] == [venue.name] * len(urls)
    assert all(url.startswith("wss://") for url in urls)
    assert venue.link.rest_url.startswith("https://")
    assert not venue.link.rest_url.endswith("/")


@every_venue
def test_channels_are_told_apart_in_the_archive(subject: Subject) -> None:
    channels = [*subject.venue.channels.items()]
    assert [name for name, _ in channels] == [channel.name for _, channel in channels]
    assert channels[0][1].suffix == ""
    suffixes = [channel.suffix for _, channel in channels]
    assert len({*suffixes}) == len(suffixes)
    for _, channel in channels:
        for market in subject.venue.markets:
            path = Vault(Path("v")).hour_file(subject.venue.name, dataset_of(market, channel), "X", 0)
            assert path.parts[:4] == ("v", "raw", subject.venue.name, dataset_of(market, channel))


@every_channel
def test_channel_does_not_contradict_itself(subject: Subject) -> None:
    channel = subject.channel
    assert channel.time_decimals in ((3, 6, 9) if channel.event_time else (6,))
    assert (channel.checksum_depth > 0) is channel.checksum
    assert not channel.checksum_apart or channel.checksum
    assert channel.continuity is not Continuity.CHECKSUM or channel.checksum
    assert channel.slots >= 2
    assert not channel.truncates or channel.depth is not None
    path = subject.venue.book_path(channel.name, "X")
    assert channel.seeding is Seeding.PUSHED or path is not None
    assert channel.seed_levels is None or channel.seeding is Seeding.REST


@every_channel
def test_both_sides_of_the_wire_agree_on_the_channel(subject: Subject) -> None:
    served = DIALECTS[subject.venue.name](1).channels[subject.channel.name]
    assert served.pushes_snapshot is (subject.channel.seeding is Seeding.PUSHED)
    assert (served.whole, served.checksum) == (subject.channel.whole, subject.channel.checksum)
    assert subject.channel.depth is None or served.depth == subject.channel.depth
    assert exchange_of(subject, "").dialect.accepts(DIALECTS[subject.venue.name](1).ws_path)


@every_venue
def test_limits_leave_room_for_a_ping_before_the_link_is_given_up(subject: Subject) -> None:
    rules = subject.venue.link
    assert 0 < rules.ping_after_s < rules.dead_after_s
    assert 1 <= rules.books_per_request <= rules.books_per_connection
    numbers = (
        rules.requests_per_hour,
        rules.request_burst,
        rules.connects_per_s,
        rules.rest_requests,
        rules.rest_per_s,
    )
    assert min(numbers) > 0
    assert 1 <= rules.book_weight <= rules.rest_requests
    assert rules.first_data_s > 0
    assert rules.life_s is None or rules.life_s > rules.dead_after_s


@every_channel
def test_path_of_a_book_names_the_book_it_asks_for(subject: Subject) -> None:
    venue, channel = subject.venue, subject.channel
    exchange = exchange_of(subject, "")
    for inst in exchange.instruments:
        path = venue.book_path(channel.name, inst)
        if path is None:
            continue
        assert path.startswith("/")
        asked = venue.book_asked(venue.link.rest_url + path)
        wanted = channel.seed_levels if channel.seeding is Seeding.REST else channel.depth
        assert asked == BookAsked(inst, wanted)
        book = venue.decode_book(channel.name, inst, exchange.request_received(path, exchange.now_ns).body)
        if channel.orders:
            orders = exchange.truth.order_book(inst, book.seq or 0)
            assert orders is not None
            assert (book.event_ns, book.bids, book.asks) == (orders.ts_ns, _lists(orders.bids), _lists(orders.asks))
            continue
        truth = exchange.truth.book(inst, book.seq or 0)
        assert truth is not None
        assert levels(book.bids) == levels(truth.bids or ())[:wanted]
        assert levels(book.asks) == levels(truth.asks or ())[:wanted]


@every_venue
def test_what_is_listed_is_what_ids_say(subject: Subject) -> None:
    venue = subject.venue
    exchange = exchange_of(subject, "")
    listed = [
        one
        for path in venue.instrument_paths([*DATASETS])
        for one in venue.decode_instruments(asked_for(exchange, path))
    ]
    assert {one.inst for one in listed} >= {*exchange.instruments}
    assert {venue.market_of(inst) for inst in exchange.instruments} <= {*venue.markets}
    has_ticks = any(one.tick is not None for one in listed)
    has_lots = any(one.lot is not None for one in listed)
    for one in listed:
        assert (one.venue, one.market) == (venue.name, venue.market_of(one.inst))
        assert (one.kind is None) is (one.market == "spot")
        theirs = exchange.instruments[one.inst]
        assert one.market == theirs.market
        # Some venues have no grid but so many significant digits; then none of their instruments has one.
        assert (one.tick, one.lot) == (theirs.tick.step if has_ticks else None, theirs.lot.step if has_lots else None)
    assert {*codes_of(exchange, venue, [*exchange.instruments])} <= {*exchange.instruments}


def _lists(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    return [[*row] for row in rows]
