"""What is measured in a process of its own: `python -m tests.hostile.children WHAT ...` prints one JSON object.

`grown_mib` is how far the greatest memory of the process lies above what it was before the hostile thing came.
"""

import asyncio
import json
import resource
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from l2_exporter.archive.layout import Vault
from l2_exporter.archive.writer import Archive
from l2_exporter.core.books import Settings
from l2_exporter.core.feed import Feed
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.timetext import NS_PER_MS
from l2_exporter.runtime import link as link_module
from l2_exporter.runtime.clock import Clock
from l2_exporter.runtime.inbox import Inbox
from l2_exporter.runtime.link import Link, LinkSettings, input_line
from l2_exporter.runtime.pacing import RestLimits
from l2_exporter.runtime.recorder import Recorder
from l2_exporter.runtime.rest import RestClient
from l2_exporter.venues.okx import LINK, Okx

INST = "BTC-USDT-SWAP"
AT_MS = 1_795_000_000_000

Json = dict[str, Any]


def peak_mib() -> float:
    """Tell the greatest memory this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def flooded(url: str) -> Json:
    """Connect, take nothing out of the inbox, and wait until the connection is given up."""
    link_module.FULL_FOR_S = 0.3
    return asyncio.run(_flooded(url))


async def _flooded(url: str) -> Json:
    async def at_once() -> None:
        return

    inbox = Inbox()
    link = Link(LinkSettings("okx-1", url, LINK, None, None, at_once, lambda *_: None), inbox, Clock())
    running = asyncio.create_task(link.run())
    while link.last_error is None:
        await asyncio.sleep(0.01)
    why, waiting = link.last_error, len(inbox)
    link.close("disconnect: enough", retire=True)
    await asyncio.gather(running, return_exceptions=True)
    return {"why": why, "waiting": waiting}


def answered(asked: str) -> Json:
    """Ask by REST for so many pages, `7 http://...`, one after the other."""
    count, url = asked.split()
    with closing(RestClient(url, RestLimits())) as client:
        replies = [client.fetch(f"/{number}", deadline_s=20) for number in range(int(count))]
    return {"answers": [[reply.status, reply.body[:100]] for reply in replies]}


def deep_book(levels: str) -> Json:
    """Record a book of so many levels a side, in the order that is worst to insert, then changes far from it."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Archive(Vault(Path(folder)), "okx")
        recorder = Recorder(Feed(Okx(), Settings(only=frozenset({("books", INST)})), archive.past), archive, "live")
        archive.begin()
        count = int(levels)
        _push(recorder, "snapshot", 0, range(1, count + 1), range(2 * count, count, -1))
        for step in range(1, 4):
            first = (2 + step) * count
            _push(recorder, "update", step, [], range(first, first + count // 2))
        keeper = recorder.feed.keepers["books", INST]
        depths = [keeper.state.book.bids.depth, keeper.state.book.asks.depth]
        best = [keeper.state.book.bids.best, keeper.state.book.asks.best]
        archive.close(AT_MS * NS_PER_MS)
    return {"standing": keeper.standing.value, "depths": depths, "best": best}


def _push(recorder: Recorder, action: str, step: int, bids: Iterable[int], asks: Iterable[int]) -> None:
    told = {
        "bids": [[str(price), "1", "0", "1"] for price in bids],
        "asks": [[str(price), "1", "0", "1"] for price in asks],
        "ts": str(AT_MS + step),
        "checksum": 0,
        "seqId": step + 2,
        "prevSeqId": step + 1 if step else -1,
    }
    message = {"arg": {"channel": "books", "instId": INST}, "action": action, "data": [told]}
    at_ns = (AT_MS + step) * NS_PER_MS
    recorder.take(input_line("in", "okx-1", Stamp(at_ns, at_ns), json.dumps(message), url=LINK.ws_url))


WHAT: dict[str, Callable[[str], Json]] = {"flooded": flooded, "answered": answered, "deep_book": deep_book}

if __name__ == "__main__":
    before = peak_mib()
    found = WHAT[sys.argv[1]](sys.argv[2])
    print(json.dumps({**found, "grown_mib": round(peak_mib() - before, 1)}))
