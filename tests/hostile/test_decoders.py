"""What a venue's decoder remembers is bounded by what was asked for, whatever and however much the exchange names."""

import gc
import re
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise

import pytest

from l2_exporter.core.errors import VenueError
from l2_exporter.core.timetext import NS_PER_S
from l2_exporter.core.venue import Connection
from l2_exporter.simulator.exchange import Exchange, Settings
from l2_exporter.simulator.wire import Send
from tests.tools.contract import START_NS, Subject, protocols
from tests.tools.contract_keys import signed
from tests.tools.listed import codes_of, entrance

NAMES = 100
"""Other instruments, numbers of channels and sides that one connection is told of, in each of three rounds."""
A_NAME_BYTES = 40
"""Far less than any entry of a dictionary takes."""


def talk(subject: Subject) -> tuple[Connection, list[str], list[str]]:
    """Let an exchange talk for a second; return the connection, the frames, and what instruments are called there."""
    venue, channel = subject.venue, subject.channel.name
    exchange = Exchange(Settings(venue.name, 1, 2), START_NS)
    insts = [*exchange.instruments]
    codes = codes_of(exchange, venue, insts)
    connection = venue.connection(codes)
    conn, outputs = exchange.link_opened(entrance(exchange, venue, channel), START_NS)
    for text in [*connection.opened(), *connection.subscribe([(channel, inst) for inst in insts])]:
        outputs += exchange.frame_received(conn, signed(venue, text, START_NS), START_NS)
    outputs += exchange.time_advanced(START_NS + NS_PER_S)
    frames = [output.data for output in outputs if isinstance(output, Send) and isinstance(output.data, str)]
    return connection, frames, [*insts, *codes.values()]


def renamed(frames: Sequence[str], names: Sequence[str], first: int) -> Iterator[str]:
    """Yield the shortest frames of each shape, of other instruments and other numbered channels each time."""
    short = [frame for frame in {re.sub(r"\d+", "0", frame): frame for frame in frames}.values() if len(frame) < 2000]
    pattern = re.compile("|".join(sorted(map(re.escape, names), key=len, reverse=True)))
    for number in range(first, first + NAMES):
        for frame in short[:5]:
            text = pattern.sub(lambda found, number=number: f"{found[0]}X{number}", frame)
            yield re.sub(r'("chanId":|^\[)\d+', lambda found, number=number: f"{found[1]}{10**9 + number}", text)


@pytest.mark.parametrize("subject", protocols(), ids=str)
def test_a_connection_does_not_remember_what_nobody_asked_for(subject: Subject) -> None:
    connection, frames, names = talk(subject)
    assert frames
    turns = [[*renamed(frames, names, turn * NAMES)] for turn in range(4)]
    sizes = []
    tracemalloc.start()
    try:
        for turn in turns:
            for frame in turn:
                with suppress(VenueError):
                    connection.decode(str(frame.encode(), "utf-8"))  # a new text, so that keeping it is seen
            gc.collect()  # tuples that were let go are kept for new ones
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    # What is remembered grows with every turn; what something else has just put away, once.
    assert min(after - before for before, after in pairwise(sizes[1:])) < A_NAME_BYTES * NAMES
