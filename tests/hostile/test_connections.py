"""A peer that means harm on a live connection: what it does is a declared loss of its books, others lose nothing."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from types import SimpleNamespace

import pytest

from l2_exporter.archive.verify import verify
from l2_exporter.runtime import link as link_module
from l2_exporter.venues.registry import line_rules
from tests.hostile.relay import BINARY, COMPRESSED, FIN, PING, Bytes, Relay, again, deflated, frame, once
from tests.tools.live import INSTS, Live, Recipe, exchange, recording, run, until

FEW = Recipe(insts=INSTS[:4], per_connection=2)
ATTACKED, SPARED = INSTS[:2], INSTS[2:4]
MEBI = 1 << 20
DEEP = b"[" * 200_000
A_MEBI = b" " * MEBI


async def endless_fragments() -> AsyncIterator[bytes]:
    """Begin a message, and never end it; its parts are empty."""
    yield frame(b'{"a":"', flags=0)
    while True:
        yield frame(b"", 0, flags=0) * 500


async def growing_fragments() -> AsyncIterator[bytes]:
    """Begin a message that is too long only by all of its parts together."""
    yield frame(A_MEBI, flags=0)
    while True:
        yield frame(A_MEBI, 0, flags=0)


async def inflating() -> AsyncIterator[bytes]:
    """Send a small message that is a large one; it is made when it is needed."""
    yield deflated(A_MEBI, 300)


ATTACKS: dict[str, tuple[Bytes, str]] = {
    "a message that inflates to 300 MB": (inflating, "oversize"),
    "a message of 100 MB": (once(frame(A_MEBI, length=100 * MEBI)), "oversize"),
    "a message of negative length": (once(frame(b"", length=(1 << 64) - 1)), "oversize"),
    "a message of long parts": (growing_fragments, "oversize"),
    "a message of empty parts": (endless_fragments, "oversize"),
    "pings without end": (again(frame(b"x", PING) * 500), "disconnect"),
    "text that is not UTF-8": (once(frame(b'{"arg":"\xff\xfe"}')), "disconnect"),
    "half of a pair of surrogates": (once(frame(b'{"arg":"\xed\xa0\x80"}')), "disconnect"),
    "compressed bytes that are not": (once(frame(b"\xff" * 40, flags=FIN | COMPRESSED)), "disconnect"),
    "an opcode that is none": (once(frame(b"x", 11)), "disconnect"),
    "a masked frame": (once(b"\x81\x85\x00\x00\x00\x00hello"), "disconnect"),
    "deep JSON, again and again": (again(frame(DEEP), 0.01), "disconnect"),
    "random bytes, again and again": (again(frame(bytes(range(256)), BINARY), 0.01), "disconnect"),
}
QUIET: dict[str, Bytes] = {
    "a message that drips": again(frame(b"x", 0, flags=0), 0.05),
    "a frame that drips": again(b" ", 0.05),
}


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "reconnect_waits", lambda _: repeat(0.01))
    monkeypatch.setattr(link_module, "CLOSE_TIMEOUT_S", 0.1)


async def attacked(vault: Path, recipe: Recipe, attacks: Sequence[Bytes]) -> Live:
    """Record while one connection after the other is attacked; ends when all books are back and lines go on."""
    async with exchange(recipe, "") as served, Relay(served.ws_url, attacks).serving() as relay:
        place = SimpleNamespace(ws_url=relay.ws_url, rest_url=served.rest_url)
        async with recording(place, vault, recipe) as live:  # type: ignore[arg-type]
            await until(lambda: len(live.said("live")) == len(FEW.insts) + len(ATTACKED) * len(attacks))
            spared = [len(lines_of(live, inst)) for inst in SPARED]
            await live.more_lines(20)
            assert all(len(lines_of(live, inst)) > count for inst, count in zip(SPARED, spared, strict=True))
            assert relay.attacked == len(attacks)
    return live


def lines_of(live: Live, inst: str) -> list[object]:
    return [line for line in live.lines if line.spec.inst == inst]


def assert_sound(live: Live, losses: Sequence[str]) -> None:
    """Check that each attack is a loss of the connection's books, in order, that nothing else is, and the archive."""
    for inst in live.insts:
        told = [gap.reason for gap in live.said("gap") if gap.spec is not None and gap.spec.inst == inst]
        assert told == (list(losses) if inst in ATTACKED else [])
    for counts in live.counts().values():
        assert counts.received == (
            counts.applied + counts.duplicate + counts.before_seed + counts.rejected + counts.ignored
        )
    assert [*verify([live.vault], line_rules())] == []


def test_each_attack_is_a_declared_loss_of_its_connection_alone(tmp_path: Path) -> None:
    async def test() -> None:
        live = await attacked(tmp_path / "v", FEW, [attack for attack, _ in ATTACKS.values()])
        assert_sound(live, [reason for _, reason in ATTACKS.values()])
        whys = [str((one.detail or {})["why"]) for one in live.said("disconnected")][: len(ATTACKS)]
        told = dict(zip(ATTACKS, whys, strict=True))
        assert "more than 1000 control frames in a second" in told["pings without end"]
        assert "4096" in told["a message of empty parts"] or "fragments" in told["a message of empty parts"]
        assert told["deep JSON, again and again"] == "disconnect: not_json"

    run(test())


@pytest.mark.parametrize("name", QUIET)
def test_what_never_ends_is_silence(tmp_path: Path, name: str) -> None:
    begin = frame(b'{"arg":', flags=0) if name == "a message that drips" else frame(b"x", length=1000)
    recipe = replace(FEW, rules=replace(FEW.rules, ping_after_s=0.3, dead_after_s=0.6))

    async def drip() -> AsyncIterator[bytes]:
        yield begin
        async for part in QUIET[name]():
            yield part

    async def test() -> None:
        live = await attacked(tmp_path / "v", recipe, [drip])
        assert_sound(live, ["stale"])

    run(test())


def test_what_cannot_be_read_is_kept_cut_and_told(tmp_path: Path) -> None:
    async def test() -> None:
        live = await attacked(tmp_path / "v", FEW, [again(frame(DEEP), 0.01)])
        canaries = [one for one in live.said("canary") if one.reason == "not_json"]
        assert len(canaries) >= 3
        assert all(len(json.dumps(one.detail)) < 400 for one in canaries)
        kept = sorted((tmp_path / "v" / "meta" / "okx" / "rejected").iterdir())
        assert len(kept) == len(canaries)
        assert json.loads(kept[0].read_bytes())["b64"].startswith("W1tb")

    run(test())
