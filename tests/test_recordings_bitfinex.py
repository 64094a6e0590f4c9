"""The Bitfinex recording: every line is a naive replay's book, and every lost array is declared.

It was made with numbers but without times. Where lines are compared it is told with a time behind each number, that of
its arrival (tests/reference/naive_bitfinex.py): what lines show of times is then ours, all else is the venue's.
"""

import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner

from l2_exporter.archive.verify import verify
from l2_exporter.cli.main import cli
from l2_exporter.core.books import Settings
from l2_exporter.core.events import BookPush, Numbered, Other, Push, Refused, Subscribed
from l2_exporter.core.feed import Feed
from l2_exporter.core.history import NoHistory
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.records import LedgerRecord
from l2_exporter.core.timetext import utc_ns
from l2_exporter.venues.bitfinex import Bitfinex
from l2_exporter.venues.registry import line_rules, venue_of_url
from tests.recordings import load, needs_recordings, path_of
from tests.reference.naive_bitfinex import State, Sum, crc, read, sampled, steps, with_times
from tests.tools.replaying import hour_files, ledger, write_tape

NAME = "bitfinex/cryptofeed-20210405-P0-seq.jsonl.gz"
INSTS = {"tCHZUST", "tETH2X:ETH", "tETHJPY", "tGTXUST", "tKNCBTC", "tLRCBTC", "tREQUSD", "tZRXETH"}
FRAMES = path_of("frames/bitfinex")
MS = 1_000_000
TRIES = 12
CUT = 1500
"""Lines of the recording that are enough to lose one of."""


def replay(vault: Path, tape: Path, *options: str) -> None:
    result = CliRunner().invoke(cli, ["replay", str(tape), "--vault", str(vault), *options])
    assert result.exit_code == 0, result.output


def written(vault: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the lines of each instrument."""
    lines: dict[str, list[dict[str, Any]]] = {}
    for path, raw_lines in hour_files(vault).items():
        assert path.split("/")[:3] == ["raw", "bitfinex", "l2_spot.book-100"]
        for raw in raw_lines:
            line = json.loads(raw)
            lines.setdefault(line["instId"], []).append(line)
    return lines


def states(tape: list[dict[str, Any]]) -> list[State]:
    """Return every state of every book."""
    return [step for step in steps(tape) if isinstance(step, State)]


def assert_is(line: dict[str, Any], state: State) -> None:
    """Compare a line with a book, texts and all."""
    assert utc_ns(line["timestamp_utc"]) == state.time_ms * MS
    assert (line["bids_top100"], line["asks_top100"]) == (state.bids, state.asks)
    assert (line["seqId"], line["prevSeqId"], line["checksum"], line["checksum_ok"]) == (state.seq, None, None, None)
    assert (line["exchange"], line["market"], line["channel"]) == ("bitfinex", "spot", "book-100")
    assert (line["gap_detected"], line["flags"]) == (False, [])


def said(vault: Path, *kinds: str) -> list[dict[str, Any]]:
    """Return the ledger's records of these kinds."""
    return [event for event in ledger(vault) if event["kind"] in kinds]


@needs_recordings
@pytest.mark.parametrize(("cadence", "frames"), [("0.05", 5_000), ("2", None)])
def test_each_line_is_the_naive_book_and_a_second_replay_adds_nothing(
    cadence: str, frames: int | None, tmp_path: Path
) -> None:
    tape = with_times(load(NAME)[:frames])
    path = write_tape(tmp_path / "tape.jsonl", tape)
    replay(tmp_path / "v", path, "--cadence", cadence)
    told = states(tape)
    # What leaves the window of 100 levels is deleted: nobody has to forget a level himself.
    assert max(len(side) for state in told for side in state.sides) == 100
    expected = sampled(told, round(float(cadence) * 1000))
    lines = written(tmp_path / "v")
    assert {inst: len(own) for inst, own in lines.items()} == {inst: len(own) for inst, own in expected.items()}
    assert {*lines} == INSTS
    for inst, own in lines.items():
        for line, state in zip(own, expected[inst], strict=True):
            assert_is(line, state)
    assert said(tmp_path / "v", "gap", "canary", "event_time_odd", "schema_break") == []
    assert [*verify([tmp_path / "v"], line_rules())] == []
    once = hour_files(tmp_path / "v")
    replay(tmp_path / "v", path, "--cadence", cadence)
    assert hour_files(tmp_path / "v") == once


@needs_recordings
def test_every_array_has_its_number_and_every_book_its_levels() -> None:
    """Also the arrays of other channels, and heartbeats."""
    connection = Bitfinex().connection({})
    numbers, kinds = [], Counter[str]()
    for line in load(NAME):
        if line["dir"] != "in":
            continue
        for event in connection.decode(line["frame"]):
            kinds[event.push.value if isinstance(event, BookPush) else type(event).__name__] += 1
            if isinstance(event, Numbered):
                numbers.append(event.number)
            elif isinstance(event, BookPush):
                assert (event.channel, event.seq, event.event_ns) == ("book-100", numbers[-1], None)
    assert numbers == [*range(1, 22_650)]
    assert (kinds["snapshot"], kinds["delta"]) == (8, 22_466)


@needs_recordings
def test_recording_without_times_gives_books_but_no_lines(tmp_path: Path) -> None:
    """Who does not ask for times has no event time; to date lines by arrival would be another channel's promise."""
    tape = write_tape(tmp_path / "tape.jsonl", load(NAME)[:CUT])
    replay(tmp_path / "v", tape)
    assert hour_files(tmp_path / "v") == {}
    assert {event["instId"] for event in said(tmp_path / "v", "live")} == INSTS
    assert said(tmp_path / "v", "gap", "canary", "schema_break") == []
    assert {event["detail"]["event_ns"] for event in said(tmp_path / "v", "event_time_odd")} == {None}


@needs_recordings
def test_every_lost_array_is_declared_for_all_books_that_were_live() -> None:
    tape = [line for line in with_times(load(NAME))[:CUT] if line["dir"] == "in"]
    arrays = [place for place, line in enumerate(tape) if line["frame"].startswith("[")][:-1]
    sizes = set()
    for place in Random(5).sample(arrays, TRIES):
        alive: set[str] = set()
        feed = Feed(Bitfinex(), Settings(), NoHistory())
        lost: list[tuple[str, str | None, int | None, int | None]] = []
        for number, line in enumerate(tape):
            if number == place:
                alive = {inst for (_, inst), keeper in feed.keepers.items() if keeper.standing.value == "live"}
                continue
            out = feed.frame_received("c", line["frame"], Stamp(None, None))
            gaps = [each for each in out if isinstance(each, LedgerRecord) and each.kind == "gap"]
            lost += [(gap.spec.inst, gap.reason, gap.expected, gap.got) for gap in gaps if gap.spec]
        missing = int(read(tape[place]["frame"])[-2])
        assert sorted(lost) == [(inst, "sequence", missing, missing + 1) for inst in sorted(alive)]
        sizes.add(len(alive))
    assert max(sizes) == len(INSTS)


@needs_recordings
@pytest.mark.parametrize("name", ["go-P0-checksum-tXRPBTC", "py-P0-checksum-tVETBTC-tiny", "py-P0-checksum-tXRPBTC"])
def test_published_checksums_of_real_books(name: str) -> None:
    vector = json.loads((FRAMES / f"bitfinex-api-{name}.json").read_text())
    chan = read(vector["frames"][0])[0]
    ack = {"event": "subscribed", "channel": "book", "chanId": int(chan), "symbol": "tXRPBTC", "prec": "P0"}
    texts = [json.dumps(ack | {"freq": "F0", "len": "25"}), *vector["frames"]]
    if '"cs"' not in texts[-1]:
        texts.append(f'[{chan},"cs",{vector["checksum"]}]')
    feed = Feed(Bitfinex(), Settings(), NoHistory())
    for text in texts:
        feed.frame_received("c", text, Stamp(None, None))
    (keeper,) = feed.keepers.values()
    books = sum('"' not in text for text in texts)
    assert (keeper.checksums, keeper.state.checksum_ok) == ({"unchecked": books, "ok": 1}, True)
    book = keeper.state.book
    assert Bitfinex().checksum(book.bids.rows, book.asks.rows) == vector["checksum"]
    assert crc(book.bids.rows, book.asks.rows) == vector["checksum"]
    timed = [f"{text[:-1]},1,1]" if text.startswith("[") else text for text in texts]
    sums = [step for step in steps([{"dir": "in", "frame": text} for text in timed]) if isinstance(step, Sum)]
    assert sums == [Sum("tXRPBTC", vector["checksum"], vector["checksum"])]


SURVEYED = {759362: 1 << 17, 765277: 1 << 17, 288922: 1 << 16, 853691: 1 << 29 | 1 << 16 | 1 << 15}
"""Channels of the survey, and the flags of their connections."""


@needs_recordings
def test_frames_of_a_survey_are_what_they_were_said_to_be() -> None:
    frames = json.loads((FRAMES / "observatory-20260923-observed.json").read_text())["frames"]
    (confirmed,) = [text for text in frames if '"subscribed"' in text]
    found: dict[int, list[object]] = {}
    for chan, flags in SURVEYED.items():
        connection = Bitfinex().connection({})
        begin = [confirmed.replace("943592", str(chan)), f'{{"event":"conf","status":"OK","flags":{flags}}}']
        begin += [f"[{chan},[],1,1790134414000]"] if flags >= 1 << 29 else []  # its snapshot is not in the survey
        for text in begin:
            connection.decode(text)
        own = [text for text in frames if text.startswith(f"[{chan},")]
        found[chan] = [event for text in own for event in connection.decode(text)]
    book = ("book-25", "tBTCF0:USTF0")
    best = ([["86704", "0.03460649", "0", "1"], ["86701", "0.07296393", "0", "2"]], ["86697", "0.03650034", "0", "1"])
    bulk = ([["86717", "0", "0", "0"], ["86647", "0.05388802", "0", "3"]], ["86816", "0", "0", "0"])
    ask = ["86735", "0.00047262", "0", "1"]
    thin = ([["6050", "0.001", "0", "1"], ["5845.1", "0.00171083", "0", "1"]], [["6861.7", "0.00145736", "0", "1"]])
    assert found == {
        759362: [
            BookPush(Push.SNAPSHOT, *book, [*best[0], best[1]], [], None, None, None, None),
            BookPush(Push.DELTA, *book, [], [["86719", "0.03483509", "0", "2"]], None, None, None, None),
            BookPush(Push.DELTA, *book, [["86664", "0", "0", "0"]], [], None, None, None, None),
            BookPush(Push.CHECKSUM, *book, [], [], None, None, None, 1330055495),
        ],
        765277: [Other("heartbeat"), BookPush(Push.SNAPSHOT, *book, *thin, None, None, None, None)],
        288922: [Numbered(3), BookPush(Push.DELTA, *book, [["86644", "0", "0", "0"]], [], None, 3, None, None)],
        853691: [
            Numbered(2),
            BookPush(Push.DELTA, *book, bulk[0], [bulk[1], ask], 1790134414850 * MS, 2, None, None),
        ],
    }
    others = [event for text in frames if text.startswith("{") for event in Bitfinex().connection({}).decode(text)]
    assert others == [
        Other("info"),
        Other("conf"),
        Subscribed(*book),
        Refused("10300", "symbol: invalid tNOPEF0:USTF0"),
    ]


def test_addresses_of_both_hosts_are_this_venue_s() -> None:
    urls = ("wss://api-pub.bitfinex.com/ws/2", "wss://api.bitfinex.com/ws/2", "wss://api.bitfinex.com/ws/1")
    assert [venue_of_url(url) for url in urls] == ["bitfinex", "bitfinex", None]
