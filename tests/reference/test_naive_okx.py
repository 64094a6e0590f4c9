"""The naive replay against small tapes whose lines were worked out by hand."""

import json
from collections.abc import Iterator

import pytest

from tests.recordings import OKX_V5, load, needs_recordings
from tests.reference.naive_okx import (
    Outcome,
    checksum,
    dataset_of,
    event_time,
    is_number,
    is_row,
    mid_price,
    replay,
    utc_ns,
    utc_text,
    with_rows,
)

INST = "BTC-USDT-SWAP"
START_MS = utc_ns("2026-11-21T15:30:44Z") // 10**6  # the start of a 2 s bucket
HOUR_FILE = f"raw/okx/l2_perps/{INST}/2026-11-21/15.jsonl"
LATENCY_MS = 50
BID, ASK = ["100.1", "5", "0", "2"], ["100.4", "7", "0", "3"]

VECTOR_A = (
    "30233.6:3:30238.8:2:30219.4:104:30249.5:50:30219.3:1520:30249.6:29:30212.3:171:30261.1:218:30209.8:5:30261.5"
    ":215:30205.8:50:30261.7:172:30204.1:1730:30264.5:11:30202.1:30:30265.9:249:30185.4:11:30268.4:40:30184:1537"
    ":30280.8:97:30181.3:18:30280.9:217:30181.2:19:30283.1:120:30180.7:249:30291.1:442:30168.9:20:30316:81"
    ":30165.8:3078:30316.1:1:30145.8:4770:30323.1:373:30145.3:120:30325:17:30133.2:12:30371.7:202:30130.3:1"
    ":30371.8:10:30130.1:236:30418.3:374:30129.9:442:30426.3:508:30117.7:81:30439.6:1539:30117.6:369:30449.2:29"
    ":30074.9:202:30464.9:202:30074.6:373:30486.8:504"
)


def book(at_ms, *, prev=None, seq=None, bids=(), asks=(), action="update", channel="books", inst=INST, **fields):
    """Write a book frame; `at_ms` counts from the start of the bucket."""
    data = {"asks": list(asks), "bids": list(bids), "ts": str(START_MS + at_ms), **fields}
    data |= {key: value for key, value in (("seqId", seq), ("prevSeqId", prev)) if value is not None}
    frame = {"arg": {"channel": channel, "instId": inst}, "action": action, "data": [data]}
    return json.dumps(frame, separators=(",", ":"))


def snapshot(at_ms, seq=10, *, prev=-1, bids=(BID,), asks=(ASK,), **fields):
    return book(at_ms, prev=prev, seq=seq, bids=bids, asks=asks, action="snapshot", **fields)


def keep_alive(at_ms, seq, **fields):
    return book(at_ms, prev=seq, seq=seq, **fields)


def arrives(at_ms, frame="", *, direction="in", conn="okx-1", **fields):
    """Put an input on the tape at its receive time."""
    return {"recv_ns": (START_MS + at_ms) * 10**6, "conn": conn, "dir": direction, "frame": frame, **fields}


def tape(*frames: str) -> list[dict]:
    """Let every frame arrive LATENCY_MS after its event time."""
    lines = []
    for frame in frames:
        ts = int(json.loads(frame)["data"][0]["ts"])
        lines.append(arrives(ts - START_MS + LATENCY_MS, frame))
    return lines


def rest_answer(at_ms, seq, *, event_ms, bids=(BID,), asks=(ASK,), **fields):
    data = {"asks": list(asks), "bids": list(bids), "ts": str(START_MS + event_ms), "seqId": seq}
    body = json.dumps({"code": "0", "msg": "", "data": [data]})
    url = f"https://www.okx.com/api/v5/market/books?instId={INST}&sz=400"
    return arrives(at_ms, body, direction="http", conn="rest", url=url, **fields)


def lines_of(outcome: Outcome, path: str = HOUR_FILE) -> list[dict]:
    return [json.loads(line) for line in outcome.files.get(path, [])]


def shown(outcome: Outcome, path: str = HOUR_FILE) -> list[tuple]:
    """Reduce lines to (seconds of the minute, seqId, flags)."""
    return [(line["timestamp_utc"][17:-1], line["seqId"], line["flags"]) for line in lines_of(outcome, path)]


def losses(outcome: Outcome) -> list[tuple]:
    """Reduce windows to (reason, since, until) in seconds of the minute."""

    def seconds(text: str | None) -> str | None:
        return text and text[17:-1]

    return [(w["reason"], seconds(w["since_event"]), seconds(w["until_event"])) for w in outcome.windows]


def counted(outcome: Outcome, dataset: str = "l2_perps") -> dict[str, int]:
    counters = outcome.counters[dataset, INST]
    assert counters["received"] == sum(n for name, n in counters.items() if name != "received")
    return {name: n for name, n in counters.items() if n}


def side(*levels: str) -> dict:
    return with_rows({}, [level.split(":") for level in levels])


def pairs(text: str) -> Iterator[tuple[str, str]]:
    words = text.split(":")
    return zip(words[::2], words[1::2], strict=True)


# ------------------------------------------------------------------------------------------------ checksum


def test_checksum_of_a_recorded_snapshot_and_its_update():
    levels = [list(pair) for pair in pairs(VECTOR_A)]
    bids, asks = with_rows({}, levels[::2]), with_rows({}, levels[1::2])
    assert checksum(bids, asks) == 1054815633
    bids = with_rows(bids, [["30182.6", "452"]])
    asks = with_rows(asks, [["30249.4", "0"], ["30261", "4"], ["30310.3", "19"]])
    assert checksum(bids, asks) == -914047754


@pytest.mark.parametrize(
    ("bids", "asks", "expected"),
    [
        (["3366.1:7", "3366:6"], ["3366.8:9", "3368:8"], -1881014294),
        (["3366.1:7"], ["3366.8:9", "3368:8", "3372:8"], 831078360),
        (["8476.97:256", "8475.55:101", "8474:9"], ["8476.98:415", "8477:7"], 774080889),
        (["8476.97:240", "8475.55:101", "8474:9"], ["8477:7", "8477.34:85"], -2047291061),
        (["8476.97:256"], [], -339689424),
        ([], [], 0),
    ],
)
def test_checksum_of_short_and_uneven_books(bids, asks, expected):
    assert checksum(side(*bids), side(*asks)) == expected


# ------------------------------------------------------------------------------------------------ small rules


def test_mid_price_is_exact_and_plain():
    assert mid_price("43250.5", "43251.0") == "43250.75"
    assert mid_price("100", "300") == "200"
    assert mid_price("1e-7", "3e-7") == "0.0000002"
    assert mid_price("0.1", "123456789012345678901234567890.3") == "61728394506172839450617283945.2"


def test_times_are_cut_not_rounded():
    assert utc_text(1_999_999_999, 6) == "1970-01-01T00:00:01.999999Z"
    assert utc_ns("2026-11-21T15:30:45.123Z") == 1795275045123 * 10**6


@pytest.mark.parametrize(
    "ts", ["", "0", "000", "-1", "1.5", "x", "253402300800000", "١", 0, -1, 253402300800000, 1.5, True, None]
)
def test_event_times_that_name_no_moment(ts):
    assert event_time(ts) is None


@pytest.mark.parametrize("ts", ["1597026383085", 1597026383085])
def test_event_time_is_text_or_a_whole_number(ts):
    assert event_time(ts) == 1597026383085 * 10**6


def test_market_follows_from_the_id():
    assert dataset_of("BTC-USDT", "books") == "l2_spot"
    assert dataset_of("BTC-USD-220527", "books5") == "l2_futures.books5"
    assert dataset_of("BTC-USD-210418-63000-P", "bbo-tbt") == "l2_options.bbo-tbt"
    assert dataset_of("UNI-USD-SWAP", "books-l2-tbt") == "l2_perps.books-l2-tbt"


def test_rows_must_be_plain_numbers():
    assert all(is_number(text) for text in ("1", "0.5", "1e-30", "2E+5"))
    assert not any(is_number(text) for text in ("", "NaN", "1e31", "1" * 65, " 1", "1,5", 1, None))
    assert is_row(["1", "0", "0", "0"])
    assert not any(is_row(row) for row in (["0", "1"], ["1", "-1"], ["-1", "1"], ["1"], "11", [1, 1]))


# ------------------------------------------------------------------------------------------------ lines


def test_a_line_in_full():
    outcome = replay([tape(snapshot(123, checksum=0), book(1500, prev=10, seq=15, bids=[["100.20", "1", "0", "1"]]))])
    assert outcome.files == {
        HOUR_FILE: [
            b'{"timestamp_utc":"2026-11-21T15:30:45.500Z","exchange":"okx","market":"perp","channel":"books",'
            b'"instId":"BTC-USDT-SWAP","bids_top400":[["100.20","1","0","1"],["100.1","5","0","2"]],'
            b'"asks_top400":[["100.4","7","0","3"]],"best_bid":"100.20","best_ask":"100.4","mid_price":"100.3",'
            b'"checksum":null,"seqId":15,"prevSeqId":10,"gap_detected":false,'
            b'"received_utc":"2026-11-21T15:30:45.550000Z","checksum_ok":null,"flags":[],'
            b'"live_since_utc":"2026-11-21T15:30:44.123Z"}\n'
        ]
    }


def test_level_is_its_numeric_price_and_the_whole_row_is_replaced():
    first = snapshot(0, bids=[["100", "1", "0", "1"], ["99", "1", "0", "1"]], asks=[])
    update = book(1, prev=10, seq=11, bids=[["100.0", "2", "9", "4"], ["99.00", "0.0", "0", "0"], ["5", "0", "0", "0"]])
    (line,) = lines_of(replay([tape(first, update)]))
    assert line["bids_top400"] == [["100.0", "2", "9", "4"]]
    assert (line["best_ask"], line["mid_price"]) == (None, None)


def test_crossed_book_is_flagged_and_depth_names_the_field():
    bids = [[str(price), "1", "0", "1"] for price in range(1, 61)]
    (line,) = lines_of(replay([tape(snapshot(0, bids=bids, asks=[["60.0", "1", "0", "1"]]))], depth=25))
    assert line["flags"] == ["crossed"]
    assert [row[0] for row in line["bids_top25"]] == [str(price) for price in range(60, 35, -1)]


def test_channel_gives_the_depth_and_the_dataset():
    frames = [snapshot(0, channel="books50-l2-tbt")]
    (line,) = lines_of(replay([tape(*frames)]), HOUR_FILE.replace("l2_perps", "l2_perps.books50-l2-tbt"))
    assert line["bids_top50"] == [BID]


# ------------------------------------------------------------------------------------------------ order of inputs


def test_inputs_are_ordered_by_number_else_by_receive_time_else_as_they_stand():
    first, second = tape(snapshot(0), book(100, prev=10, seq=11, bids=[BID]))
    expected = [("44.100", 11, [])]
    assert shown(replay([[second, first]])) == expected
    assert shown(replay([[second], [first]])) == expected
    earlier, later = first | {"n": 1, "recv_ns": second["recv_ns"] + 1}, second | {"n": 2}
    assert shown(replay([[later, earlier]])) == expected
    for line in (first, second):
        line["recv_ns"] = None
    assert shown(replay([[second, first]])) == [("44.000", 10, [])]


# ------------------------------------------------------------------------------------------------ sampling


def test_the_last_update_of_each_bucket_is_written():
    frames = [snapshot(100)]
    frames += [book(at, prev=n, seq=n + 1, bids=[BID]) for n, at in ((10, 1999), (11, 2000), (12, 3000), (13, 6000))]
    assert shown(replay([tape(*frames)])) == [("45.999", 11, []), ("47.000", 13, []), ("50.000", 14, [])]


def test_a_deadline_closes_the_bucket_and_a_late_update_opens_the_next():
    # Opened at elapsed 150 with book time 100: due at 150 + 1900 + 1000 = 3050.
    late = book(1900, prev=10, seq=11, bids=[BID])
    for at, expected in (
        (3049, [("45.900", 11, [])]),  # just in time: still the open bucket
        (3050, [("44.100", 10, []), ("45.900", 11, [])]),  # too late: counted to the next bucket
    ):
        assert shown(replay([[*tape(snapshot(100)), arrives(at, late)]])) == expected


def test_any_input_runs_deadlines_but_a_command_does_not():
    late = arrives(3060, book(1900, prev=10, seq=11, bids=[BID]))
    late["recv_ns"] = None
    for direction, count in (("tick", 2), ("open", 2), ("out", 1)):
        middle = arrives(3050, direction=direction, conn="okx-9")
        assert len(shown(replay([[*tape(snapshot(100)), middle, late]]))) == count


def test_elapsed_time_is_the_steady_clock_where_taped():
    steps = tape(snapshot(100), book(1900, prev=10, seq=11, bids=[BID]))
    for line, mono_ns in zip(steps, (0, 2_900_000_000), strict=True):
        line["mono_ns"] = mono_ns
    assert len(shown(replay([steps]))) == 2
    steps[1]["mono_ns"] -= 1
    assert len(shown(replay([steps]))) == 1


def test_no_receive_times_means_no_deadlines():
    steps = tape(snapshot(100), book(1900, prev=10, seq=11, bids=[BID]), book(9000, prev=11, seq=12, bids=[BID]))
    for line in steps:
        del line["recv_ns"]
    outcome = replay([steps])
    assert shown(outcome) == [("45.900", 11, []), ("53.000", 12, [])]
    assert lines_of(outcome)[0]["received_utc"] is None


def test_book_time_never_falls():
    steps = [arrives(1550, snapshot(1500)), arrives(1600, book(500, prev=10, seq=11, bids=[BID]))]
    assert shown(replay([steps])) == [("45.500", 11, [])]


def test_event_times_far_ahead_are_believed_after_ten_that_agree():
    ahead = 3_600_000
    frames = [(100, snapshot(100))]
    frames += [(200 + n, book(ahead + n, prev=10 + n, seq=11 + n, bids=[BID])) for n in range(11)]
    outcome = replay([[arrives(at, frame) for at, frame in frames]])
    # Nine are doubted: book time stays. The tenth and eleventh (seqId 20, 21) are believed.
    assert outcome.odd_event_times == 10
    assert shown(outcome) == [("44.100", 19, [])]
    assert shown(outcome, HOUR_FILE.replace("/15.", "/16.")) == [("44.010", 21, [])]


def test_a_missing_event_time_keeps_the_book_time_and_opens_no_bucket_alone():
    zero = snapshot(0).replace(str(START_MS), "0")
    nothing = [arrives(0, zero)]
    assert replay([nothing]).files == {}
    later = [*nothing, arrives(900, book(800, prev=10, seq=11, bids=[BID]))]
    (line,) = lines_of(replay([later]))
    assert (line["timestamp_utc"], line["live_since_utc"]) == ("2026-11-21T15:30:44.800Z",) * 2


def test_a_line_belongs_to_the_hour_of_its_book_time():
    end = 29 * 60_000 + 16_000 - 100  # 15:59:59.900
    frames = [snapshot(end), book(end + 100, prev=10, seq=11, bids=[BID])]
    outcome = replay([tape(*frames)])
    assert sorted(outcome.files) == [HOUR_FILE, HOUR_FILE.replace("/15.", "/16.")]


# ------------------------------------------------------------------------------------------------ continuity


def test_a_gap_is_one_line_a_window_and_a_fresh_start():
    frames = [
        snapshot(100),
        book(500, prev=10, seq=11, bids=[BID]),
        book(2100, prev=12, seq=13, bids=[BID]),  # 12 is missing
        book(2200, prev=13, seq=14, bids=[BID]),
        snapshot(2300, 20),
        book(4000, prev=20, seq=25, bids=[BID]),
    ]
    outcome = replay([tape(*frames)])
    assert shown(outcome) == [("44.500", 11, ["gap"]), ("46.300", 20, ["after_gap"]), ("48.000", 25, [])]
    assert [line["gap_detected"] for line in lines_of(outcome)] == [True, False, False]
    assert [line["live_since_utc"][17:] for line in lines_of(outcome)] == ["44.100Z", "46.300Z", "46.300Z"]
    assert losses(outcome) == [("sequence", "44.500", "46.300")]
    assert counted(outcome) == {"received": 6, "applied": 4, "before_seed": 2}


def test_a_gap_line_may_repeat_the_time_of_the_line_before_it():
    # The deadline writes the ordinary line; the loss then closes no bucket.
    steps = [*tape(snapshot(100)), arrives(4000, direction="tick"), arrives(4100, book(4000, prev=99, seq=100))]
    assert shown(replay([steps])) == [("44.100", 10, []), ("44.100", 10, ["gap"])]


def test_a_second_loss_before_any_line_carries_both_flags():
    frames = [snapshot(100), book(200, prev=99, seq=100), snapshot(300, 200), book(400, prev=1, seq=2)]
    outcome = replay([tape(*frames)])
    assert shown(outcome) == [("44.100", 10, ["gap"]), ("44.300", 200, ["gap", "after_gap"])]
    assert losses(outcome) == [("sequence", "44.100", "44.300"), ("sequence", "44.300", None)]


def test_a_line_this_run_forbids_leaves_its_flag_to_the_next():
    # The fresh book is older than the gap line: its first line would not ascend.
    steps = [
        *tape(snapshot(1000), book(1100, prev=99, seq=100)),
        arrives(1200, snapshot(500, 200)),
        arrives(9000, direction="tick"),
        *tape(book(9000, prev=200, seq=201, bids=[BID])),
    ]
    assert shown(replay([steps])) == [("45.000", 10, ["gap"]), ("53.000", 201, ["after_gap"])]


def test_sequence_chains_by_equality_through_keep_alive_and_reset():
    frames = [
        snapshot(0),
        book(100, prev=10, seq=15, bids=[BID]),
        keep_alive(200, 15),
        book(300, prev=15, seq=3, bids=[BID]),  # maintenance reset
        book(400, prev=3, seq=5, bids=[BID]),
    ]
    outcome = replay([tape(*frames)])
    assert shown(outcome) == [("44.400", 5, [])]
    assert outcome.windows == []


def test_duplicates_change_nothing():
    frames = [
        snapshot(0),
        snapshot(1),  # same counters
        snapshot(0, 11),  # equal rows, same event time
        book(100, prev=10, seq=15, bids=[BID]),
        book(101, prev=10, seq=15, bids=[ASK]),
        keep_alive(200, 15),
        keep_alive(200, 15),
        keep_alive(300, 15),  # a later event time: an update
    ]
    outcome = replay([tape(*frames)])
    assert shown(outcome) == [("44.300", 15, [])]
    assert counted(outcome) == {"received": 8, "applied": 4, "duplicate": 4}


def test_the_same_book_again_is_a_duplicate_even_where_book_time_is_ahead_of_it():
    again = plain(500, "snapshot")
    steps = [*tape(plain(1000, "snapshot")), *(arrives(at, plain(500)) for at in (1100, 1200)), arrives(1300, again)]
    outcome = replay([steps])
    assert outcome.windows == []
    assert counted(outcome) == {"received": 4, "applied": 3, "duplicate": 1}


def test_a_keep_alive_without_event_time_is_accepted_and_changes_nothing():
    silent = keep_alive(100, 10).replace(str(START_MS + 100), "0")
    steps = [*tape(snapshot(0)), arrives(100, silent)]
    outcome = replay([[*steps, *tape(book(200, prev=10, seq=11, bids=[]))]])
    assert shown(outcome) == [("44.200", 11, [])]
    (line,) = lines_of(replay([steps]))
    assert (line["prevSeqId"], line["received_utc"][17:]) == (-1, "44.050000Z")
    again = replay([[*steps, *tape(snapshot(0, 99))]])  # equal rows and the event time of the snapshot before it
    assert counted(again) == {"received": 3, "applied": 2, "duplicate": 1}
    with_rows = book(100, prev=10, seq=10, bids=[BID]).replace(str(START_MS + 100), "0")
    (line,) = lines_of(replay([[*tape(snapshot(0)), arrives(100, with_rows)]]))  # an update after all
    assert (line["prevSeqId"], line["received_utc"][17:]) == (10, "44.100000Z")


def test_an_unsolicited_snapshot_continues_or_resets():
    continued = replay([tape(snapshot(0), snapshot(100, 20, prev=10, bids=[]))])
    assert shown(continued) == [("44.100", 20, [])]
    assert lines_of(continued)[0]["live_since_utc"][17:] == "44.000Z"
    reset = replay([tape(snapshot(0), snapshot(100, 20, bids=[]), book(150, prev=20, seq=21, bids=[BID]))])
    assert shown(reset) == [("44.000", 10, ["gap"]), ("44.150", 21, ["after_gap"])]
    assert losses(reset) == [("venue_reset", "44.000", "44.100")]


def test_an_odd_frame_is_a_loss_for_its_instrument():
    odd = book(100, prev=10, seq=11, bids=[["100", "-1", "0", "1"]])
    outcome = replay([tape(snapshot(0), odd, snapshot(200, 12))])
    assert losses(outcome) == [("sequence", "44.000", "44.200")]
    assert counted(outcome) == {"received": 3, "applied": 2, "rejected": 1}
    assert not outcome.schema_break


@pytest.mark.parametrize(
    "change",
    [
        {"data": []},
        {"data": [7]},
        {"data": None},
        {"action": "replace"},
        {"data": [{"asks": [], "bids": [], "prevSeqId": 10, "seqId": 11}]},
        {"data": [{"asks": [], "bids": {}, "ts": "1", "prevSeqId": 10, "seqId": 11}]},
        {"data": [{"asks": [], "bids": [], "ts": "1", "prevSeqId": 10}]},
        {"data": [{"asks": [], "bids": [], "ts": "1", "prevSeqId": 10, "seqId": True}]},
        {"data": [{"asks": [], "bids": [], "ts": "1", "prevSeqId": 10, "seqId": "11"}]},
        {"data": [{"asks": [], "bids": [], "ts": "1"}]},
    ],
)
def test_every_odd_shape_is_rejected(change):
    odd = json.dumps(json.loads(book(1, prev=10, seq=11)) | change)
    outcome = replay([[*tape(snapshot(0)), arrives(100, odd)]])
    assert losses(outcome) == [("sequence", "44.000", None)]
    assert counted(outcome) == {"received": 2, "applied": 1, "rejected": 1}


def test_an_odd_first_frame_or_three_in_a_row_end_the_run():
    odd = book(100).replace('"ts"', '"time"')
    first = replay([[arrives(0, odd), *tape(snapshot(0))]])
    assert first.schema_break
    assert first.files == {}
    steps = [*tape(snapshot(0), snapshot(0, inst="ETH-USDT-SWAP")), *[arrives(200, odd)] * 3, *tape(snapshot(300, 20))]
    third = replay([steps])
    assert third.schema_break
    assert shown(third) == [("44.000", 10, ["gap"])]
    assert [(w["inst"], w["reason"]) for w in third.windows] == [(INST, "sequence"), ("ETH-USDT-SWAP", "disconnect")]


NAMELESS = json.dumps({"arg": {"channel": "books"}, "action": "update", "data": [{}]})
UNREADABLE = pytest.mark.parametrize("frame", ['{"arg":{"channel":"books"', "", '{"data":NaN}', NAMELESS])


@UNREADABLE
def test_a_frame_of_no_book_loses_the_books_that_cannot_show_it(frame):
    bare = book(0, bids=[BID], asks=[ASK], action="snapshot", inst="ETH-USDT")
    other_link = arrives(10, book(5, bids=[BID], asks=[ASK], action="snapshot", inst="UNI-USDT"), conn="okx-2")
    outcome = replay([[*tape(bare), other_link, arrives(60, frame), arrives(70, "pong")]])
    assert [(w["inst"], w["reason"]) for w in outcome.windows] == [("ETH-USDT", "sequence")]


@UNREADABLE
def test_a_frame_of_no_book_leaves_alone_what_shows_a_loss(frame):
    numbered, summed = snapshot(0), sent(plain(0, "snapshot", inst="ETH-USDT"), GOOD)
    whole = book(0, bids=[BID], channel="books5", inst="UNI-USDT")
    assert replay([[*tape(numbered, summed, whole), arrives(60, frame)]]).windows == []


def test_a_checksum_of_an_earlier_episode_shows_no_loss_in_this_one():
    frames = [sent(plain(0, "snapshot"), GOOD), book(100, bids=[["1", "1"]], action="snapshot")]
    outcome = replay([[*tape(*frames), arrives(200, "{")]])
    assert losses(outcome) == [("venue_reset", "44.000", "44.100"), ("sequence", "44.100", None)]


def test_an_odd_frame_on_a_link_that_does_not_own_the_book_is_ignored():
    steps = [*tape(snapshot(0)), arrives(100, book(100, prev=10), conn="okx-2")]
    outcome = replay([steps])
    assert outcome.windows == []
    assert counted(outcome) == {"received": 2, "applied": 1, "ignored": 1}


def test_a_closed_link_loses_its_books_only():
    other = "ETH-USDT-SWAP"
    steps = [
        *tape(snapshot(0)),
        arrives(60, snapshot(10, inst=other), conn="okx-2"),
        arrives(70, snapshot(20, 11), conn="okx-2"),  # the first connection owns the book
        arrives(100, direction="close"),
        arrives(200, snapshot(150, 12), conn="okx-2"),
    ]
    outcome = replay([steps])
    assert losses(outcome) == [("disconnect", "44.000", "44.150")]
    assert shown(outcome) == [("44.000", 10, ["gap"]), ("44.150", 12, ["after_gap"])]
    assert counted(outcome) == {"received": 3, "applied": 2, "ignored": 1}
    assert shown(outcome, HOUR_FILE.replace(INST, other)) == [("44.010", 10, [])]


def test_a_link_opened_again_was_closed():
    steps = [arrives(0, direction="open"), *tape(snapshot(0)), arrives(100, direction="open")]
    assert losses(replay([steps])) == [("disconnect", "44.000", None)]


def test_only_the_selected_instruments_are_recorded():
    outcome = replay([tape(snapshot(0), snapshot(0, inst="ETH-USDT"))], instruments=["ETH-USDT"])
    assert list(outcome.files) == ["raw/okx/l2_spot/ETH-USDT/2026-11-21/15.jsonl"]
    assert counted(outcome) == {"received": 1, "ignored": 1}


# ------------------------------------------------------------------------------------------------ whole books


def test_whole_book_channels_push_snapshots():
    def push(at_ms, price, seq):
        frame = json.loads(book(at_ms, seq=seq, bids=[[price, "1", "0", "1"]], channel="bbo-tbt"))
        del frame["action"]
        return json.dumps(frame)

    outcome = replay([tape(push(0, "10", 4), push(0, "10", 4), push(100, "11", 2), push(200, "11", 9))])
    (line,) = lines_of(outcome, HOUR_FILE.replace("l2_perps", "l2_perps.bbo-tbt"))
    assert line["bids_top1"] == [["11", "1", "0", "1"]]
    assert (line["seqId"], line["prevSeqId"], line["live_since_utc"][17:]) == (9, None, "44.000Z")
    assert counted(outcome, "l2_perps.bbo-tbt") == {"received": 4, "applied": 3, "duplicate": 1}


# ------------------------------------------------------------------------------------------------ REST join


def test_a_rest_book_and_what_continues_it_are_one_update():
    steps = [
        *tape(book(100, prev=8, seq=9), book(200, prev=9, seq=12, bids=[["100.2", "1", "0", "1"]])),
        rest_answer(300, 10, event_ms=150),
        *tape(book(400, prev=12, seq=13, bids=[])),
    ]
    outcome = replay([steps[:3]])
    (line,) = lines_of(outcome)
    assert (line["timestamp_utc"][17:], line["seqId"], line["prevSeqId"]) == ("44.200Z", 12, 9)
    assert (line["received_utc"][17:], line["flags"]) == ("44.300000Z", ["seeded_from_rest"])
    assert line["best_bid"] == "100.2"
    assert counted(outcome) == {"received": 2, "applied": 1, "before_seed": 1}
    assert shown(replay([steps])) == [("44.400", 13, ["seeded_from_rest"])]


def test_a_rest_book_alone_is_live_and_the_next_update_must_reach_over_it():
    early = [*tape(book(100, prev=8, seq=9)), rest_answer(300, 10, event_ms=150)]
    alone = replay([early])
    assert shown(alone) == [("44.150", 10, ["seeded_from_rest"])]
    assert lines_of(alone)[0]["prevSeqId"] is None
    old = book(350, prev=9, seq=10, bids=[])
    reaches = book(400, prev=9, seq=12, bids=[])
    outcome = replay([[*early, *tape(old, reaches)]])
    assert shown(outcome) == [("44.400", 12, ["seeded_from_rest"])]
    assert counted(outcome) == {"received": 3, "applied": 1, "before_seed": 2}
    beyond = replay([[*early, *tape(book(400, prev=11, seq=12, bids=[]))]])
    assert losses(beyond) == [("sequence", "44.150", None)]


def test_a_rest_book_of_an_instrument_not_heard_of_yet_is_ignored():
    early = rest_answer(50, 10, event_ms=20)
    assert replay([[early, *tape(book(100, prev=10, seq=12, bids=[]))]]).files == {}
    other_channel = tape(book(10, bids=[BID], channel="books5"))
    assert HOUR_FILE not in replay([[*other_channel, early, *tape(book(100, prev=10, seq=12, bids=[]))]]).files


@pytest.mark.parametrize(
    ("pairs", "seq", "expected"),
    [
        ([(8, 9), (9, 12)], 9, 12),  # the second follows the answer's number
        ([(8, 9), (9, 12)], 10, 12),  # the second straddles it
        ([(8, 9), (9, 12)], 12, 12),  # both are older
        ([(10, 4), (4, 6)], 10, 6),  # the first follows it, and resets the numbers
        ([(10, 4), (4, 12)], 10, None),  # both join: none is sure
        ([(20, 4), (4, 6)], 10, None),  # after a reset smaller is not older
        ([(12, 13)], 10, None),  # newer, with something missing between
    ],
)
def test_which_updates_join_a_rest_book(pairs, seq, expected):
    frames = [book(100 + n, prev=prev, seq=own, bids=[]) for n, (prev, own) in enumerate(pairs)]
    outcome = replay([[*tape(*frames), rest_answer(300, seq, event_ms=50)]])
    assert [line["seqId"] for line in lines_of(outcome)] == ([] if expected is None else [expected])


def test_the_first_update_after_a_rest_book_may_reset_the_numbers():
    early = [*tape(book(100, prev=8, seq=9)), rest_answer(300, 10, event_ms=150)]
    outcome = replay([[*early, *tape(book(400, prev=10, seq=3, bids=[]), book(500, prev=3, seq=12, bids=[]))]])
    assert shown(outcome) == [("44.500", 12, ["seeded_from_rest"])]


def test_a_rest_book_has_the_levels_of_the_channel():
    bids = [[f"{price}", "1", "0", "1"] for price in range(1, 61)]
    steps = [*tape(book(100, prev=8, seq=9, channel="books50-l2-tbt")), rest_answer(300, 9, event_ms=150, bids=bids)]
    path = HOUR_FILE.replace("l2_perps", "l2_perps.books50-l2-tbt")
    (line,) = lines_of(replay([steps]), path)
    assert [row[0] for row in line["bids_top50"]] == [str(price) for price in range(60, 10, -1)]
    for query, count in (("&sz=50", 1), ("&sz=49", 0), ("", 1)):
        asked = [steps[0], steps[1] | {"url": steps[1]["url"].replace("&sz=400", query)}]
        assert len(lines_of(replay([asked]), path)) == count


def test_after_a_rest_book_a_snapshot_ends_the_join():
    early = [*tape(book(100, prev=8, seq=9)), rest_answer(300, 10, event_ms=150)]
    frames = [snapshot(400, 20, prev=10), book(500, prev=15, seq=30, bids=[])]
    assert losses(replay([[*early, *tape(*frames)]])) == [("sequence", "44.400", None)]


def test_a_rest_book_older_than_the_buffer_seeds_nothing():
    steps = [*tape(book(100, prev=11, seq=12)), rest_answer(300, 10, event_ms=150)]
    assert replay([steps]).files == {}
    assert shown(replay([[*steps, rest_answer(500, 12, event_ms=450)]])) == [("44.450", 12, ["seeded_from_rest"])]


def test_a_rest_book_recovers_after_a_gap_and_is_ignored_while_live():
    steps = [
        *tape(snapshot(0)),
        rest_answer(60, 99, event_ms=50),
        *tape(book(100, prev=12, seq=13, bids=[["100.2", "1", "0", "1"]])),
        rest_answer(300, 12, event_ms=90, status=429),
        rest_answer(400, 12, event_ms=90),
    ]
    outcome = replay([steps])
    assert shown(outcome) == [("44.000", 10, ["gap"]), ("44.100", 13, ["after_gap", "seeded_from_rest"])]
    assert losses(outcome) == [("sequence", "44.000", "44.100")]


def test_a_broken_buffer_joins_nothing_older():
    broken = tape(book(100, prev=10, seq=11), book(200, prev=15, seq=16))
    assert replay([[*broken, rest_answer(300, 10, event_ms=90)]]).files == {}
    assert shown(replay([[*broken, rest_answer(300, 15, event_ms=150)]]))[0][:2] == ("44.200", 16)


# ------------------------------------------------------------------------------------------------ checksum rules


def sent(frame: str, value: int) -> str:
    """Give a frame a checksum."""
    changed = json.loads(frame)
    changed["data"][0]["checksum"] = value
    return json.dumps(changed, separators=(",", ":"))


GOOD = checksum(with_rows({}, [BID]), with_rows({}, [ASK]))


def plain(at_ms: int, action: str = "update", **fields) -> str:
    """Write a frame of the years without sequence; updates repeat the book."""
    return book(at_ms, bids=[BID], asks=[ASK], action=action, **fields)


def test_without_a_sequence_one_mismatch_is_a_loss():
    frames = [
        sent(plain(0, "snapshot"), GOOD),
        sent(plain(100), GOOD),
        sent(book(200, bids=[["100.2", "1", "0", "1"]]), 5),
        sent(plain(300), GOOD),
        sent(plain(400, "snapshot"), 5),  # fails its own check: not live
        sent(plain(500, "snapshot"), GOOD),
    ]
    outcome = replay([tape(*frames)])
    assert shown(outcome) == [("44.100", None, ["gap"]), ("44.500", None, ["after_gap"])]
    assert [line["best_bid"] for line in lines_of(outcome)] == ["100.1", "100.1"]
    assert [line["checksum_ok"] for line in lines_of(outcome)] == [True, True]
    assert losses(outcome) == [("checksum", "44.100", "44.500")]
    assert outcome.checksums == {"ok": 3, "mismatch": 2, "unchecked": 0}
    assert counted(outcome) == {"received": 6, "applied": 3, "before_seed": 1, "rejected": 2}


def test_with_a_sequence_the_third_mismatch_in_a_row_is_a_loss():
    bad = [sent(book(100 * n, prev=9 + n, seq=10 + n, bids=[BID]), 5) for n in range(1, 6)]
    two = replay([tape(sent(snapshot(0), GOOD), *bad[:2])])
    assert shown(two) == [("44.200", 12, ["checksum_mismatch"])]
    assert lines_of(two)[0]["checksum"] == 5
    three = replay([tape(sent(snapshot(0), GOOD), *bad[:3])])
    assert shown(three) == [("44.200", 12, ["gap", "checksum_mismatch"])]
    assert losses(three) == [("checksum", "44.200", None)]


def test_mismatches_of_one_episode_do_not_count_in_the_next():
    bad = [
        sent(book(at, prev=prev, seq=prev + 1, bids=[BID]), 5) for at, prev in ((1, 10), (2, 11), (20, 30), (21, 31))
    ]
    outcome = replay([tape(sent(snapshot(0), GOOD), *bad[:2], sent(snapshot(10, 30), 0), *bad[2:])])
    assert losses(outcome) == [("venue_reset", "44.002", "44.010")]
    assert shown(outcome)[-1] == ("44.021", 32, ["after_gap", "checksum_mismatch"])


def test_checking_stops_when_the_fresh_book_fails_as_well():
    bad = [sent(book(100 * n, prev=9 + n, seq=10 + n, bids=[BID]), 5) for n in range(1, 4)]
    again = [sent(snapshot(400, 20), 5), sent(book(500, prev=20, seq=21, bids=[BID]), 5)]
    outcome = replay([tape(sent(snapshot(0), GOOD), *bad, *again)])
    assert outcome.canaries == ["algorithm_changed"]
    assert shown(outcome)[-1] == ("44.500", 21, ["after_gap"])
    assert lines_of(outcome)[-1]["checksum_ok"] is None
    assert outcome.checksums == {"ok": 1, "mismatch": 3, "unchecked": 2}


def test_zero_and_missing_are_no_checksums():
    outcome = replay([tape(sent(snapshot(0), 0), book(100, prev=10, seq=11, bids=[BID]))])
    assert outcome.checksums == {"ok": 0, "mismatch": 0, "unchecked": 2}


# ------------------------------------------------------------------------------------------------ restarts


def long_tape() -> list[dict]:
    frames = [snapshot(0)]
    frames += [book(700 * n, prev=9 + n, seq=10 + n, bids=[[f"100.{n}", "1", "0", "1"]]) for n in range(1, 20)]
    frames[9] = book(6300, prev=77, seq=78)
    frames.insert(12, snapshot(8000, 21))
    return tape(*frames)


def test_a_second_replay_adds_nothing():
    once = replay([long_tape()])
    assert len(once.files[HOUR_FILE]) > 4
    again = replay([long_tape()], existing=once.files)
    assert again.files == once.files
    assert losses(again)[0][0] == "restart"


def test_a_replay_after_any_part_of_the_lines_completes_the_same_file():
    once = replay([long_tape()])
    for count in range(1, len(once.files[HOUR_FILE])):
        part = {HOUR_FILE: once.files[HOUR_FILE][:count]}
        assert replay([long_tape()], existing=part).files == once.files


def test_a_bucket_that_reaches_into_the_next_hour_is_closed_by_a_line_before_it():
    end = 29 * 60_000 + 16_000  # 16:00:00, when a bucket of 7 s is 1 s old
    first = replay([tape(snapshot(end - 500))], cadence_s="7")
    later = tape(snapshot(end + 500), book(end + 6000, prev=10, seq=11, bids=[]))
    next_hour = HOUR_FILE.replace("/15.", "/16.")
    assert len(lines_of(replay([later], cadence_s="7"), next_hour)) == 2
    assert len(lines_of(replay([later], cadence_s="7", existing=first.files), next_hour)) == 1


def test_a_later_run_starts_behind_the_bucket_of_the_last_line():
    first = replay([tape(snapshot(100))])
    second = replay([tape(snapshot(1500, 50), book(1600, prev=50, seq=51, bids=[BID]))], existing=first.files)
    assert shown(second) == [("44.100", 10, []), ("45.600", 51, ["after_gap"])]
    assert losses(second) == [("restart", "44.100", "45.500")]


def test_a_loss_that_an_earlier_run_left_open_marks_the_first_line():
    lost = replay([[*tape(snapshot(0)), arrives(100, direction="close")]]).lost
    assert lost == {("l2_perps", INST)}
    steps = tape(snapshot(0), book(2000, prev=10, seq=11, bids=[]))
    outcome = replay([steps], lost=lost)
    assert shown(outcome) == [("44.000", 10, ["after_gap"]), ("46.000", 11, [])]
    assert outcome.lost == set()


def test_a_sealed_hour_takes_no_more_lines():
    other = "ETH-USDT-SWAP"
    end = 29 * 60_000 + 16_000  # 16:00:00
    frames = [snapshot(0), snapshot(0, inst=other), book(end + 120_001, prev=10, seq=11, inst=other, bids=[BID])]
    steps = tape(*frames, book(end + 121_000, prev=10, seq=11, bids=[BID]))
    for line in steps:
        line["recv_ns"] = None
    outcome = replay([steps])
    assert outcome.late_lines == 1
    assert HOUR_FILE not in outcome.files


# ------------------------------------------------------------------------------------------------ recordings


@needs_recordings
@pytest.mark.parametrize(
    ("name", "ok", "duplicate", "unchecked"),
    [
        (OKX_V5[0], 3669, 10, 0),  # 3679 are sent, ten of them with snapshots that repeat the book
        (OKX_V5[1], 290, 0, 0),
        (OKX_V5[2], 6, 0, 0),
        (OKX_V5[3], 0, 0, 7),
    ],
)
def test_every_recorded_checksum_is_reproduced(name, ok, duplicate, unchecked):
    outcome = replay([load(name)])
    assert outcome.checksums == {"ok": ok, "mismatch": 0, "unchecked": unchecked}
    assert sum(counters["duplicate"] for counters in outcome.counters.values()) == duplicate
    assert outcome.windows == []
    assert outcome.odd_event_times == outcome.late_lines == 0
