"""Verifying lines against the ledger: what no honest recorder can have written is found, and nothing else is blamed."""

from pathlib import Path

import pytest

from l2_exporter.archive.verify import verify
from tests.archive.samples import (
    DATASET,
    DAY,
    END,
    HOUR,
    LOSS,
    RULES,
    START,
    VENUE,
    Line,
    Sample,
    encode,
    entry,
    gap_line,
    ledger,
    line,
    lines,
)

AGAIN = f"{DAY}T15:00:08.000Z"
"""Where the sample's second episode begins."""


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return Sample(tmp_path / "vault")


def found(path: Path) -> list[tuple[str, int, str]]:
    """Verify a path; tell file name, line and word of each defect."""
    return [(defect.path.name, defect.line, str(defect.reason)) for defect in verify([path], RULES)]


def told(sample: Sample, *made: Line) -> list[tuple[int, str]]:
    """Verify the sample vault with these lines in its hour; tell line and word of each defect."""
    sample.put(sample.hour, encode([*made]))
    return [(number, word) for _, number, word in found(sample.vault.root)]


def declare(sample: Sample, *entries: Line) -> None:
    """Let these be the ledger."""
    sample.put(sample.ledger, encode([*entries]))


def at(second: str) -> str:
    return f"{DAY}T15:00:{second}Z"


def began(second: str, **changes: object) -> Line:
    """Make the ledger line of a first life."""
    return entry("live", until_event=at(second), **changes)


def loss(ident: str, since: str, until: str | None, reason: str = "venue_reset", **changes: object) -> list[Line]:
    """Make the ledger lines of a loss and its end."""
    window = {"id": ident, "reason": reason, "since_event": at(since), **changes}
    return [entry("gap", **window), entry("live", **window, until_event=until and at(until))]


STARTED = entry("started", instId=None, conn=None, detail=None)
STOPPED = entry("stopped", "23:00:00.000000", instId=None, conn=None, detail=None)
REPLAYED = STARTED | {"detail": {"origin": "replay"}}


# ---- windows ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ("04.999", []),
        ("05.000", []),
        ("05.001", [(1, "in_gap")]),
        ("07.999", [(1, "in_gap")]),
        ("08.000", [(1, "across_loss")]),
        ("09.000", [(1, "across_loss")]),
    ],
)
def test_no_ordinary_line_after_its_episode_has_ended(
    sample: Sample, second: str, expected: list[tuple[int, str]]
) -> None:
    assert told(sample, line(second)) == expected


def test_a_book_that_was_not_found_again_gives_no_lines(sample: Sample) -> None:
    declare(sample, STARTED, began("00.000"), entry("gap", **LOSS))
    assert told(sample, line("04.000"), line("09.000")) == [(2, "in_gap")]


def test_book_time_may_begin_anew_lower(sample: Sample) -> None:
    """The window of the second loss reaches over the lines of the first episode, and has nothing to do with them."""
    declare(sample, STARTED, began("00.000"), *loss("a", "08.800", "03.200"), *loss("b", "03.200", "39.600"), STOPPED)
    first, third = line("08.800"), line("39.600", flags=["after_gap"], live_since_utc=at("39.600"))
    assert told(sample, first, gap_line("08.800"), third) == []
    second = line("09.000", flags=["after_gap"], live_since_utc=at("03.200"))
    assert told(sample, first, gap_line("08.800"), second, third) == [(3, "in_gap")]


def test_losses_of_other_books_end_no_episode(sample: Sample) -> None:
    others = [
        *loss("a", "10.000", "20.000", instId="ETH-USDT-SWAP"),
        *loss("b", "10.000", "20.000", detail={"dataset": "l2_perps.books5"}),
    ]
    declare(sample, STARTED, began("00.000"), *others, STOPPED)
    assert told(sample, line("15.000")) == []


def test_a_restart_ends_the_episode_of_a_recorder_that_was_killed(sample: Sample) -> None:
    declare(sample, STARTED, began("00.000"), STARTED, *loss("a", "05.000", "08.000", "restart"), STOPPED)
    again = line("09.000", flags=["after_gap"], live_since_utc=AGAIN)
    assert told(sample, line("05.000"), again) == []
    assert told(sample, line("05.000"), line("06.000"), again) == [(2, "in_gap")]


def test_a_loss_may_stand_in_a_later_file(sample: Sample) -> None:
    later = [one | {"at": "2026-11-27T00:00:01.000000Z"} for one in loss("a", "05.000", "08.000")]
    sample.put(sample.ledger.with_name("2026-11-27.jsonl"), encode(later))
    declare(sample, STARTED, began("00.000"))
    assert told(sample, line("05.000"), line("06.000")) == [(2, "in_gap")]
    for ended in ([STARTED, began("00.000"), STOPPED], [REPLAYED, began("00.000")], [began("00.000")]):
        declare(sample, *ended)
        assert told(sample, line("05.000"), line("06.000")) == []
    declare(sample, entry("connected", detail={"origin": "live"}), began("00.000"))
    assert told(sample, line("05.000"), line("06.000")) == [(2, "in_gap")]


def test_a_loss_of_another_replay_ends_no_episode(sample: Sample) -> None:
    """Two replays over midnight: in order of dates the loss of the first stands behind the life of the second."""
    later = [one | {"at": "2026-11-27T00:00:01.000000Z"} for one in loss("a", "05.000", "08.000")]
    sample.put(sample.ledger.with_name("2026-11-27.jsonl"), encode(later))
    declare(sample, REPLAYED, began("00.000"), REPLAYED, began("01.000"))
    assert told(sample, line("06.000", live_since_utc=at("01.000"))) == []


def test_a_tape_replayed_again_begins_its_episodes_again(sample: Sample) -> None:
    run = [REPLAYED, began("00.000"), *loss("a", "05.000", "08.000"), STOPPED]
    again = [
        *(REPLAYED, entry("gap", id="r", reason="restart", since_event=at("11.000"))),
        entry("live", id="r", reason="restart", until_event=START),
        *loss("b", "05.000", "08.000"),
        STOPPED,
    ]
    declare(sample, *run, *again)
    assert told(sample, *lines()) == []
    assert told(sample, *lines()[:2], line("06.000"), *lines()[3:]) == [(3, "in_gap")]


def test_an_end_that_stands_before_its_loss_condemns_nothing(sample: Sample) -> None:
    """A clock that was set back puts it into an earlier file."""
    declare(sample, entry("gap", **LOSS))
    ends = encode([entry("live", **LOSS, **END) | {"at": "2026-11-25T23:59:59.000000Z"}])
    sample.put(sample.ledger.with_name("2026-11-25.jsonl"), ends)
    assert told(sample, line("09.000", live_since_utc=AGAIN)) == []


# ---- gap lines ----------------------------------------------------------------------------------------------


def test_every_gap_line_is_in_the_ledger(sample: Sample) -> None:
    assert told(sample, gap_line("04.000"), gap_line("05.000")) == [(1, "gap_undeclared")]
    declare(sample, STARTED, began("00.000"), *loss("a", "05.000", "08.000", detail={"dataset": "l2_spot"}), STOPPED)
    assert told(sample, gap_line("04.000"), gap_line("05.000")) == [(1, "gap_undeclared"), (2, "gap_undeclared")]
    declare(sample, STARTED, began("00.000"), *loss("a", "05.000", "08.000"), *loss("b", "09.000", "12.000"), STOPPED)
    assert told(sample, gap_line("09.000")) == [(1, "gap_undeclared")]


def test_a_recorder_that_still_runs_may_have_more_to_say(sample: Sample) -> None:
    """It writes a loss after its line, and both while the archive is being verified."""
    declare(sample, STARTED, began("00.000"), entry("resync", "15:00:09.000000"))
    newest = line("10.000", live_since_utc=at("09.500"))
    assert told(sample, line("01.000"), gap_line("05.000"), gap_line("09.500"), newest) == []
    declare(sample, STARTED, began("00.000"), STOPPED)
    wrong = [(2, "gap_undeclared"), (3, "gap_undeclared"), (4, "no_live")]
    assert told(sample, line("01.000"), gap_line("05.000"), gap_line("09.500"), newest) == wrong
    declare(sample, STARTED, began("00.000"), STOPPED | {"at": f"{DAY}T15:00:09.000000Z"})
    assert told(sample, line("01.000"), newest) == []


# ---- what the ledger should know ----------------------------------------------------------------------------


def test_an_episode_that_the_ledger_does_not_know(sample: Sample) -> None:
    declare(sample, *ledger(), STOPPED)
    unknown = {"live_since_utc": at("08.500")}
    assert told(sample, line("09.000", **unknown), line("11.000", **unknown)) == [(1, "no_live")]
    assert told(sample, line("09.000", **unknown, received_utc=None)) == [(1, "no_live")]
    declare(sample, STARTED, entry("live"), STOPPED)  # a life without a book time may have any
    assert told(sample, line("09.000", **unknown)) == []


def test_an_instrument_of_which_the_ledger_says_nothing(sample: Sample) -> None:
    sample.put(sample.vault.hour_file(VENUE, DATASET, "ETH-USDT-SWAP", HOUR), encode([line(instId="ETH-USDT-SWAP")]))
    assert found(sample.vault.root) == [("15.jsonl", 1, "not_in_ledger")]


def test_older_files_of_a_ledger_may_be_gone(sample: Sample) -> None:
    younger = sample.put(sample.ledger.with_name("2026-11-27.jsonl"), sample.ledger.read_bytes())
    sample.ledger.unlink()
    assert found(sample.vault.root / "raw") == []
    younger.unlink()
    declare(sample, entry("live", **LOSS | END | {"since_received": "2026-11-25T23:59:59.000000Z"}), STOPPED)
    assert told(sample, line("01.000")) == []
    declare(sample, *loss("a", "05.000", "08.000", "restart")[1:], STOPPED)
    assert told(sample, line("01.000")) == []


def test_a_life_without_a_book_time_ends_no_episode_from_before_the_ledger(sample: Sample) -> None:
    undated = [entry("live", id="a", reason="stale"), *loss("b", "06.000", "08.000")]
    declare(sample, entry("gap", id="a", reason="stale", since_event=at("05.000")), *undated, STOPPED)
    assert told(sample, gap_line("05.000"), line("07.000")) == []
    declare(sample, STARTED, *undated, STOPPED)
    assert told(sample, line("07.000")) == [(1, "in_gap")]


def test_a_day_after_the_first_file_everything_is_known(sample: Sample) -> None:
    declare(sample, STOPPED)
    before = STOPPED | {"at": "2026-11-25T15:00:00.000000Z"}
    sample.put(sample.ledger.with_name("2026-11-25.jsonl"), encode([before]))
    assert told(sample, *lines()) == [(1, "not_in_ledger"), (3, "gap_undeclared")]


def test_a_ledger_that_cannot_be_read_condemns_no_line(sample: Sample) -> None:
    for rest, word in ((b"{\n", "not_json"), (b"{", "torn_tail")):
        sample.put(sample.ledger, encode([STARTED, STOPPED]) + rest)
        assert told(sample, line()) == [(3, word)]


# ---- what an episode's first line says ----------------------------------------------------------------------


def test_the_first_line_after_a_loss_says_so(sample: Sample) -> None:
    declare(sample, *ledger(), STOPPED)
    assert told(sample, line("03.000"), line("09.000", live_since_utc=AGAIN)) == [(2, "flag_after_gap")]
    unmarked = gap_line("09.000", live_since_utc=AGAIN)
    assert told(sample, line("03.000"), unmarked) == [(2, "gap_undeclared"), (2, "flag_after_gap")]
    assert told(sample, line("09.000", live_since_utc=AGAIN)) == []


def test_after_gap_may_be_used_up(sample: Sample) -> None:
    """By a line that the file's earlier content forbids, or that the disk did not take."""
    again = line("09.000", live_since_utc=AGAIN)
    resumed = entry("write_resumed", since_event=AGAIN, until_event=at("09.000"))
    declare(sample, *ledger(), resumed, STOPPED)
    assert told(sample, line("03.000"), again) == []
    first, lower = [REPLAYED, began("00.000"), STOPPED], loss("a", "08.500", "02.000", "restart")
    declare(sample, *first, REPLAYED, *lower, STOPPED)
    assert told(sample, line("08.500"), line("09.000", live_since_utc=at("02.000"))) == []
    declare(sample, REPLAYED, began("00.000"), *lower, STOPPED)  # in one run no earlier content forbids it
    assert told(sample, line("08.500"), line("09.000", live_since_utc=at("02.000"))) == [(2, "flag_after_gap")]


@pytest.mark.parametrize("word", ["after_gap", "seeded_from_rest"])
def test_only_an_episodes_first_line_says_so(sample: Sample, word: str) -> None:
    declare(sample, *ledger(), STOPPED)
    late = line("11.000", live_since_utc=AGAIN, flags=[word])
    assert told(sample, line("03.000"), gap_line("05.000"), late | {"flags": ["after_gap"]}) == []
    assert told(sample, *lines()[:4], late) == [(5, "flag_first")]
    next_hour = late | {"timestamp_utc": f"{DAY}T16:00:01.000Z", "received_utc": f"{DAY}T16:00:01.000999Z"}
    sample.put(sample.hour.with_name("16.jsonl"), encode([next_hour]))
    assert told(sample, *lines()) == [(1, "flag_first")]
    assert told(sample, *lines()[:3]) == []


def test_an_episode_without_a_loss_before_it_is_after_no_gap(sample: Sample) -> None:
    declare(sample, *ledger(), STOPPED)
    assert told(sample, line(flags=["after_gap"])) == [(1, "flag_first")]
    assert told(sample, line(flags=["seeded_from_rest"])) == []


# ---- sequence numbers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numbers", "wrong"),
    [
        ([(5, -1), (7, 5)], []),
        ([(5, None), (7, 5)], []),
        ([(None, None), (None, None)], []),
        ([(5, None), (None, None), (6, None)], []),
        ([(5, 4), (None, None), (7, 6)], [(2, "numbers")]),
        ([(5, 4), (6, None), (7, 6)], [(2, "numbers")]),
        ([(5, 4), (7, -1), (9, 7)], [(2, "numbers")]),
        ([(5, 4), (3, -1), (9, 7)], []),
        ([(None, None), (7, 6)], [(2, "numbers")]),
    ],
)
def test_sequence_numbers_do_not_come_or_go_within_an_episode(
    sample: Sample, numbers: list[tuple[int | None, int | None]], wrong: list[tuple[int, str]]
) -> None:
    declare(sample, STARTED, began("00.000"), STOPPED)
    made = [line(f"{second:02}.000", seqId=seq, prevSeqId=prev) for second, (seq, prev) in enumerate(numbers)]
    assert told(sample, *made) == wrong
