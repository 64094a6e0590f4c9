"""How much memory something hostile costs at most, measured in a process of its own."""

import asyncio
import gzip
import json
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.relay import Bytes, again, deflated, frame, hostile
from tests.runtime.webserver import Page, page, raw, serving

ROOT = Path(__file__).resolve().parents[2]
MEBI = 1 << 20
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts in other units elsewhere")
pytestmark = LINUX
HEAD = b"HTTP/1.1 200 OK\r\n"


def measured(what: str, argument: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.hostile.children", what, argument]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("attack", "most_mib"),
    [
        # The inbox holds 128 MiB; what one read of the socket (256 KiB) inflates to cannot be stopped halfway.
        pytest.param(again(deflated(b" " * MEBI, 8)), 600, id="messages that inflate"),
        pytest.param(again(frame(b" " * (4 * MEBI))), 250, id="long messages"),
    ],
)
def test_messages_that_nobody_takes_are_bounded_by_their_size(attack: Bytes, most_mib: float) -> None:
    async def test() -> dict[str, Any]:
        async with hostile(attack) as url:
            return await asyncio.to_thread(measured, "flooded", url)

    found = asyncio.run(test())
    assert found["why"] == "overflow: inputs wait for more than 0 s"
    assert found["waiting"] < 200
    assert found["grown_mib"] < most_mib


TOO_LONG = "the body is longer than 33554432 bytes"


def answers() -> list[tuple[Page, int, str]]:
    """List answers that are too much, with the status and the text that are made of each."""
    bomb = gzip.compress(bytes(300 * MEBI), 1)
    return [
        (page(bomb, Content_Encoding="gzip"), 0, TOO_LONG),
        (page(bomb, 302, Content_Encoding="gzip", Location="/y"), 0, TOO_LONG),
        (page(bomb, 500, Content_Encoding="gzip"), 0, TOO_LONG),
        (page(gzip.compress(bomb), Content_Encoding="gzip, gzip"), 0, "the body is packed as 'gzip, gzip'"),
        (page(zlib.compress(bytes(300 * MEBI), 1), Content_Encoding="deflate"), 0, TOO_LONG),
        (page(b"\x28\xb5\x2f\xfd", Content_Encoding="zstd"), 0, "the body is packed as 'zstd'"),
        (page(b"\x00", Content_Encoding="br"), 0, "the body is packed as 'br'"),
        (page(bomb[:1000], Content_Encoding="gzip"), 0, "the body cannot be unpacked: it ends too early"),
        (page(b" " * (40 * MEBI)), 0, TOO_LONG),
        (page(b" " * (40 * MEBI), 301, Location="/y"), 0, TOO_LONG),
        (raw(HEAD + b"Content-Length: -1\r\n\r\n{}"), 200, "{}"),
        (raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"9" * 1_000_000), 0, "ProtocolError: "),
        (page("ok"), 200, "ok"),
    ]


def test_an_answer_is_bounded_behind_its_decompression_and_the_next_is_asked_for() -> None:
    given = answers()
    with serving() as server:
        server.pages |= {f"/{number}": answer for number, (answer, _, _) in enumerate(given)}
        found = measured("answered", f"{len(given)} {server.url}")
    told = [[status, body[: len(why)]] for (status, body), (_, _, why) in zip(found["answers"], given, strict=True)]
    assert told == [[status, why] for _, status, why in given]
    assert found["grown_mib"] < 120


@pytest.mark.parametrize(
    ("levels", "most_mib"), [(250_000, 700), pytest.param(1_000_000, 2500, marks=pytest.mark.soak)]
)
def test_a_book_without_end_keeps_its_best_levels(levels: int, most_mib: float) -> None:
    found = measured("deep_book", str(levels))
    assert found["standing"] == "live"
    assert found["depths"] == [200_000, 200_000]
    assert found["best"] == [str(levels), str(levels + 1)]
    assert found["grown_mib"] < most_mib
