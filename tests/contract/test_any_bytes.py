"""Whatever comes, a venue answers with events or with an error of its own, and what it passes on is fit for a book.

Raw bytes, and frames of its simulated exchange that were damaged: first each by one odd value in one place, all there
are; then at random, on a connection that has heard the beginning of the talk, so that what it remembers is damaged too.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from l2_exporter.core.errors import SchemaError, VenueError
from l2_exporter.core.events import BookPush, Event, Numbered, Push
from l2_exporter.core.instrument import Instrument
from l2_exporter.core.rows import are_rows
from l2_exporter.core.timetext import END_OF_TIME_NS, NS_PER_S
from l2_exporter.core.venue import DATASETS, BookAsked, Connection, Venue
from l2_exporter.simulator.wire import Send
from tests.tools.contract import Subject, exchange_of, protocols
from tests.tools.contract_keys import signed
from tests.tools.listed import asked_for, codes_of, entrance

every_protocol = pytest.mark.parametrize("subject", protocols(), ids=str)
examples = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

KEPT = 3
"""Entries of a list that are kept of a real frame: more rows show nothing more."""
DEEP = "[" * 100_000 + "]" * 100_000
ODD: list[Any] = [
    *(None, True, "", " ", "x", "0", "-1", "1e400", "NaN", "١", "\ud800", "9" * 400, "2026-02-30T25:00:00Z"),
    *(0, -1, 2**53, 2**63, 10**400, 0.5, 1e308, float("nan"), float("inf"), [], {}, [[]], [{}], ["1"], [["1", "x"]]),
]
values = st.recursive(
    st.sampled_from(ODD) | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@dataclass(frozen=True)
class Talk:
    """What a simulated exchange has said, in short: frames in order, a REST book if there is one, its listings."""

    codes: dict[str, str]
    frames: list[str]
    books: list[str]
    lists: list[str]


@cache
def talk(name: str) -> Talk:
    """Listen to an exchange for two seconds."""
    subject = next(each for each in protocols() if str(each) == name)
    venue, channel = subject.venue, subject.channel.name
    exchange = exchange_of(subject, "")
    insts = [*exchange.instruments]
    codes = codes_of(exchange, venue, insts)
    connection = venue.connection(codes)
    path = entrance(exchange, venue, channel)
    conn, outputs = exchange.link_opened(path, exchange.now_ns)
    for text in [*connection.opened(), *connection.subscribe([(channel, inst) for inst in insts])]:
        outputs += exchange.frame_received(conn, signed(venue, text, exchange.now_ns), exchange.now_ns)
    outputs += exchange.time_advanced(exchange.now_ns + 2 * NS_PER_S)
    frames = [output.data for output in outputs if isinstance(output, Send) and isinstance(output.data, str)]
    book_path = venue.book_path(channel, insts[0])
    paths = ([book_path] if book_path else [], venue.instrument_paths([*DATASETS]))
    books, lists = ([asked_for(exchange, each) for each in some] for some in paths)
    return Talk(codes, *([short(text) for text in texts] for texts in (frames, books, lists)))


def short(text: str) -> str:
    """Write a JSON text with the first entries of each list only, numbers as they stood."""
    try:
        return written(_pruned(json.loads(text, parse_float=Token, parse_int=Token)))
    except ValueError:
        return text


class Token(str):
    """A number as it was written."""


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _pruned(inner) for key, inner in value.items()}
    if isinstance(value, list):
        are_rows = all(isinstance(inner, list | dict) for inner in value)
        return [_pruned(inner) for inner in (value[:KEPT] if are_rows else value)]
    return value


def written(value: Any) -> str:
    """Write a JSON text, tokens as they are."""
    if isinstance(value, Token):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{written(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return json.dumps(value)


@st.composite
def damaged(draw: st.DrawFn, texts: list[str]) -> str | bytes:
    """Draw a text that is no longer what it was, or never was anything."""
    if not texts or draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=40) | st.text(max_size=40) | values.map(json.dumps) | st.just(DEEP))
    text = draw(st.sampled_from(texts))
    try:
        message = json.loads(text, parse_float=Token, parse_int=Token)
    except ValueError:
        return text[: draw(st.integers(0, len(text)))]
    if draw(st.integers(0, 9)) == 0:
        return text[: draw(st.integers(0, len(text)))]
    return written(_changed(draw, message))


def _changed(draw: st.DrawFn, value: Any) -> Any:
    """Put any value in any place, or take one out."""
    if not isinstance(value, dict | list) or not value or draw(st.integers(0, 4)) == 0:
        return draw(values)
    key = draw(st.sampled_from([*value] if isinstance(value, dict) else range(len(value))))
    changed = value.copy()
    if draw(st.integers(0, 5)) == 0:
        del changed[key]
    else:
        changed[key] = _changed(draw, value[key])
    return changed


def assert_fit(venue: Venue, event: Event) -> None:
    """What a venue passes on can be kept in a book and written to a file."""
    if isinstance(event, Numbered):
        assert type(event.number) is int
    if not isinstance(event, BookPush):
        return
    assert event.channel in venue.channels
    assert type(event.inst) is str
    for rows in (event.bids, event.asks):
        assert are_rows(rows, 2)
    assert event.push is not Push.CHECKSUM or not (event.bids or event.asks)
    assert event.event_ns is None or 0 < event.event_ns < END_OF_TIME_NS
    for number in (event.seq, event.prev_seq, event.checksum):
        assert number is None or (type(number) is int and -(1 << 63) <= number < 1 << 63)


def assert_told(venue: Venue, error: VenueError) -> None:
    """A schema error says what it is about."""
    if isinstance(error, SchemaError):
        assert error.channel in venue.channels
        assert error.missing != ()
        assert error.books >= 1
        assert error.inst is None or type(error.inst) is str


def listener(subject: Subject, heard: int) -> Connection:
    """Return a connection that has heard so many frames."""
    spoken = talk(str(subject))
    connection = subject.venue.connection(spoken.codes)
    connection.opened()
    connection.subscribe([(subject.channel.name, inst) for inst in exchange_of(subject, "").instruments])
    for frame in spoken.frames[:heard]:
        for event in connection.decode(frame):
            assert_fit(subject.venue, event)
    return connection


def shapes(texts: list[str]) -> list[Any]:
    """Read the messages among some texts, one of each set of keys and kinds of values."""
    found: dict[str, Any] = {}
    for text in texts:
        try:
            message = json.loads(text, parse_float=Token, parse_int=Token)
        except ValueError:
            continue
        found.setdefault(_shape(message), message)
    return [*found.values()]


def _shape(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_shape(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(sorted({_shape(inner) for inner in value})) + "]"
    return type(value).__name__


def with_one_odd_value(value: Any) -> Iterator[Any]:
    """Yield a message with each odd value in each place, and without each place, one at a time."""
    yield from ODD
    if not isinstance(value, dict | list):
        return
    for key in value if isinstance(value, dict) else range(len(value)):
        rest = value.copy()
        del rest[key]
        yield rest
        for inner in with_one_odd_value(value[key]):
            changed = value.copy()
            changed[key] = inner
            yield changed


@every_protocol
def test_every_odd_value_in_every_place_of_a_frame(subject: Subject) -> None:
    frames = talk(str(subject)).frames
    connection = listener(subject, len(frames))
    for message in shapes(frames):
        for odd in with_one_odd_value(message):
            read_frame(subject.venue, connection, written(odd))


@every_protocol
def test_every_odd_value_in_every_place_of_an_answer(subject: Subject) -> None:
    spoken = talk(str(subject))
    for message in shapes(spoken.books):
        for odd in with_one_odd_value(message):
            read_book(subject, written(odd))
    for message in shapes(spoken.lists):
        for odd in with_one_odd_value(message):
            read_list(subject.venue, written(odd))


@every_protocol
@examples
@given(data=st.data())
def test_any_frame(subject: Subject, data: st.DataObject) -> None:
    frames = talk(str(subject)).frames
    connection = listener(subject, data.draw(st.integers(0, len(frames))))
    for _ in range(3):
        read_frame(subject.venue, connection, data.draw(damaged(frames)))


@every_protocol
@examples
@given(data=st.data())
def test_any_rest_book(subject: Subject, data: st.DataObject) -> None:
    read_book(subject, _text(data.draw(damaged(talk(str(subject)).books))))


@every_protocol
@examples
@given(data=st.data())
def test_any_list_of_instruments(subject: Subject, data: st.DataObject) -> None:
    read_list(subject.venue, _text(data.draw(damaged(talk(str(subject)).lists))))


def read_frame(venue: Venue, connection: Connection, frame: str | bytes) -> None:
    """Read a frame, and look at what came of it."""
    try:
        events = connection.decode(frame)
    except VenueError as error:
        assert_told(venue, error)
        return
    for event in events:
        assert_fit(venue, event)


def read_book(subject: Subject, body: str) -> None:
    """Read the answer with a book, and look at what came of it."""
    try:
        book = subject.venue.decode_book(subject.channel.name, "X", body)
    except VenueError:
        return
    assert (book.push, book.channel, book.inst) == (Push.SNAPSHOT, subject.channel.name, "X")
    assert_fit(subject.venue, book)


def read_list(venue: Venue, body: str) -> None:
    """Read an answer with instruments, both ways, and look at what came of it."""
    readers: tuple[Callable[[str], Sequence[Any]], ...] = (venue.decode_instruments, venue.further_instrument_paths)
    for read in readers:
        try:
            found = read(body)
        except VenueError:
            continue
        for one in found:
            if isinstance(one, Instrument):
                assert one.inst
                assert one.market in DATASETS
            else:
                assert one.startswith("/")


@every_protocol
@examples
@given(url=st.text(max_size=30) | st.text(max_size=10).map(lambda tail: f"https://[{tail}"), data=st.data())
def test_any_url_and_any_id(subject: Subject, url: str, data: st.DataObject) -> None:
    path = subject.venue.book_path(subject.channel.name, "X") or "/x"
    tail = data.draw(st.text(max_size=10))
    for each in (url, url + path, subject.venue.link.rest_url + path + tail, path.replace("X", tail)):
        asked = subject.venue.book_asked(each)
        assert asked is None or isinstance(asked, BookAsked)
    assert subject.venue.market_of(tail) in DATASETS


def _text(body: str | bytes) -> str:
    return body if isinstance(body, str) else body.decode("utf-8", "replace")
