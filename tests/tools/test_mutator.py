"""The mutator does what it reports, and nothing else."""

import json

import pytest

from tests.recordings import OKX_V5, load, needs_recordings
from tests.reference.naive_okx import replay
from tests.tools.mutator import add_sequence, inject_snapshots, mutate, parsed, reference_books, snapshots_at

INSTS = ("A-USDT", "B-USDT")


def frame(n: int, inst: str, action: str = "update", **fields) -> dict:
    data = {"asks": [["101", "1", "0", "1"]], "bids": [["99", str(n + 1), "0", "1"]], "ts": str(1_700_000_000_000 + n)}
    data |= {"checksum": 7, **fields}
    text = json.dumps(
        {"arg": {"channel": "books", "instId": inst}, "action": action, "data": [data]}, separators=(",", ":")
    )
    return {"recv_ns": 1_700_000_000_000_000_000 + n, "conn": "okx-1", "dir": "in", "frame": text}


@pytest.fixture
def clean() -> list[dict]:
    """An acknowledgement, two snapshots, and updates of two instruments in turn."""
    ack = {"recv_ns": 1, "conn": "okx-1", "dir": "in", "frame": '{"event":"subscribe","arg":{"channel":"books"}}'}
    lines = [ack, *(frame(n, inst, "snapshot") for n, inst in enumerate(INSTS))]
    return lines + [frame(n, INSTS[n % 2]) for n in range(2, 60)]


def data_of(line: dict) -> dict:
    return parsed(line)["data"][0]


def test_added_counters_chain_and_leave_the_rest_of_the_text_alone(clean):
    lines = add_sequence(clean, 1)
    last: dict[str, int] = {}
    for before, after in zip(clean, lines, strict=True):
        book = parsed(after)
        if book is None:
            assert after == before
            continue
        data, inst = book["data"][0], book["arg"]["instId"]
        assert data["prevSeqId"] == last.get(inst, -1)
        assert 1 <= data["seqId"] - last.get(inst, data["seqId"] - 1) <= 20
        last[inst] = data["seqId"]
        counters = f',"seqId":{data["seqId"]},"prevSeqId":{data["prevSeqId"]}'
        assert after["frame"].replace(counters, "") == before["frame"]
    assert "seqId" not in clean[1]["frame"]


def test_repeated_snapshots_and_empty_updates_do_not_step():
    lines = [frame(1, "A-USDT", "snapshot"), frame(1, "A-USDT", "snapshot"), frame(2, "A-USDT", asks=[], bids=[])]
    counters = [(data_of(line)["prevSeqId"], data_of(line)["seqId"]) for line in add_sequence(lines, 1)]
    seq = counters[0][1]
    assert counters == [(-1, seq), (-1, seq), (seq, seq)]


@pytest.mark.parametrize(("keep", "expected"), [("keep", 7), ("zero", 0), ("remove", None)])
def test_checksum_is_kept_zeroed_or_removed(clean, keep, expected):
    assert {data_of(line).get("checksum") for line in add_sequence(clean, 1, keep=keep)[1:]} == {expected}


def test_same_seed_same_damage(clean):
    chances = dict.fromkeys(("drop", "swap", "repeat", "cut", "corrupt"), 0.1)
    assert mutate(clean, 5, **chances) == mutate(clean, 5, **chances)
    assert mutate(clean, 5, **chances) != mutate(clean, 6, **chances)
    lines, damages = mutate(clean, 5)
    assert damages == []
    assert [line["frame"] for line in lines] == [line["frame"] for line in clean]


def test_an_unknown_operation_is_refused(clean):
    with pytest.raises(ValueError, match="explode"):
        mutate(clean, 1, explode=0.5)


def test_drop_takes_away_the_reported_frames_only(clean):
    lines, damages = mutate(clean, 3, drop=0.2)
    gone = {damage.index for damage in damages}
    assert gone
    assert [line["frame"] for line in lines] == [line["frame"] for n, line in enumerate(clean) if n not in gone]


def test_repeat_doubles_the_reported_frames_only(clean):
    lines, damages = mutate(clean, 3, repeat=0.2)
    twice = {damage.index for damage in damages}
    expected = [line["frame"] for n, line in enumerate(clean) for _ in range(2 if n in twice else 1)]
    assert [line["frame"] for line in lines] == expected


def test_swap_moves_frames_but_not_arrival(clean):
    lines, damages = mutate(clean, 3, swap=0.2)
    assert [line["recv_ns"] for line in lines] == [line["recv_ns"] for line in clean]
    for first, second in zip(damages[::2], damages[1::2], strict=True):
        assert second.index == first.index + 1
        assert lines[first.index]["frame"] == clean[second.index]["frame"]
        assert lines[second.index]["frame"] == clean[first.index]["frame"]


def test_cut_leaves_no_json(clean):
    lines, damages = mutate(clean, 3, cut=0.2)
    for damage in damages:
        assert clean[damage.index]["frame"].startswith(lines[damage.index]["frame"])
        with pytest.raises(ValueError, match=r"."):
            json.loads(lines[damage.index]["frame"])


def test_corrupt_changes_one_digit_of_a_price_or_size(clean):
    lines, damages = mutate(clean, 3, corrupt=0.2)
    assert damages
    for damage in damages:
        before, after = clean[damage.index]["frame"], lines[damage.index]["frame"]
        (at,) = [n for n, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
        assert before[at].isdigit()
        assert after[at] in "123456789"
        rows = [(row[0], row[1]) for side in ("asks", "bids") for row in data_of(lines[damage.index])[side]]
        assert rows != [(row[0], row[1]) for side in ("asks", "bids") for row in data_of(clean[damage.index])[side]]


def test_a_damage_names_its_frame(clean):
    sequenced = add_sequence(clean, 1)
    _, damages = mutate(sequenced, 3, drop=0.2)
    for damage in damages:
        book = parsed(sequenced[damage.index])
        data = book["data"][0]
        assert damage.inst == book["arg"]["instId"]
        assert (damage.event_ns, damage.seq, damage.prev) == (
            int(data["ts"]) * 10**6,
            data["seqId"],
            data["prevSeqId"],
        )


def test_an_injected_snapshot_is_the_clean_book_of_its_place(clean):
    sequenced = add_sequence(clean, 1)
    states = reference_books(sequenced)
    mutated, damages = mutate(sequenced, 3, drop=0.1)
    lines = inject_snapshots(sequenced, mutated, damages, 4)
    injected = [line for line in lines if line.get("injected")]
    assert injected
    for line in injected:
        data, state = data_of(line), states[line["place"]]
        assert (data["prevSeqId"], data["seqId"]) == (-1, state.data["seqId"])
        assert data["bids"] == list(state.bids.values())
        assert data["ts"] == state.data["ts"]
    assert [line["place"] for line in lines] == sorted(line["place"] for line in lines)


def test_a_new_subscription_brings_every_known_book(clean):
    states = reference_books(clean)
    books = [parsed(line) for line in snapshots_at(clean, states, 3)]
    assert [book["arg"]["instId"] for book in books] == list(INSTS)
    assert snapshots_at(clean, states, 1) == []
    assert {line["recv_ns"] for line in snapshots_at(clean, states, 9)} == {clean[8]["recv_ns"]}


@needs_recordings
@pytest.mark.parametrize("name", OKX_V5[:2])
def test_a_recording_stays_clean_with_counters_and_with_injected_snapshots(name):
    sequenced = add_sequence(load(name), 7)
    assert replay([sequenced]).windows == []
    states = reference_books(sequenced)
    middle = len(sequenced) // 2
    again = [*snapshots_at(sequenced, states, middle), *sequenced[middle:]]
    outcome = replay([again])
    assert outcome.windows == []
    assert outcome.checksums["mismatch"] == 0
    assert all(counters["before_seed"] == 0 for counters in outcome.counters.values())
