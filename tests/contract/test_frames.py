"""What every venue must make of frames that nobody expects, and of a tape that is replayed twice."""

from pathlib import Path

import pytest

from l2_exporter.core.events import Event, Other, Refused
from tests.tools.contract import Subject, begun, check, exchange_of, protocols, recorded, replayed
from tests.tools.contract_keys import signed
from tests.tools.listed import entrance
from tests.tools.replaying import hour_files

every_protocol = pytest.mark.parametrize("subject", protocols(), ids=str)


@every_protocol
def test_second_replay_of_a_tape_adds_nothing(subject: Subject, tmp_path: Path) -> None:
    recording = recorded(subject, tmp_path / "v", "drop@8s/{A},close@12s/{C}")
    first = hour_files(replayed(recording))
    assert hour_files(replayed(recording)) == first == hour_files(recording.vault)


@every_protocol
def test_message_that_nobody_knows_is_said_once_and_loses_nothing(subject: Subject, tmp_path: Path) -> None:
    recording = begun(subject, tmp_path / "v")
    for after_s in (8, 9):
        recording.wired.arrives(after_s, '{"surprise":{"of":"a new kind"}}')
    recording.wired.run(14)
    check(recording)
    assert recording.said("canary").count("unknown_frame") == 1
    assert (recording.losses(), recording.wrong()) == ([], [])


@every_protocol
def test_bytes_that_are_no_message_are_kept_and_lose_only_what_has_no_proof(subject: Subject, tmp_path: Path) -> None:
    recording = recorded(subject, tmp_path / "v", "garbage@8s/{A}", seconds=25)
    assert recording.faults()["garbage"] == 1
    assert recording.said("canary").count("not_json") == 1
    lost = [(inst, "sequence") for inst in recording.insts[:2]] if subject.forgetful else []
    assert recording.losses() == lost
    assert recording.wrong() == []


@every_protocol
def test_error_of_the_venue_is_said_and_loses_nothing(subject: Subject, tmp_path: Path) -> None:
    recording = begun(subject, tmp_path / "v")
    wrong = subject.venue.connection({}).subscribe([(subject.channel.name, "NO-SUCH-BOOK")])
    for text in ("nonsense", *wrong):
        recording.wired.says(8, text)
    recording.wired.run(14)
    check(recording)
    answers = _answers(subject, ("nonsense", *wrong))
    refusals = [event for event in answers if isinstance(event, Refused)]
    assert [event for event in answers if isinstance(event, Other) and not event.known] == []
    assert refusals != []
    assert recording.said("canary").count("refused") == len(refusals)
    assert (recording.losses(), recording.wrong()) == ([], [])


def _answers(subject: Subject, texts: tuple[str, ...]) -> list[Event]:
    """Say something to a fresh exchange, and read what it answers."""
    exchange = exchange_of(subject, "")
    path = entrance(exchange, subject.venue, subject.channel.name)
    conn, _ = exchange.link_opened(path, exchange.now_ns)
    spoken = [signed(subject.venue, text, exchange.now_ns) for text in texts]
    outputs = [output for text in spoken for output in exchange.frame_received(conn, text, exchange.now_ns)]
    connection = subject.venue.connection({})
    return [event for output in outputs for event in connection.decode(getattr(output, "data", ""))]
