"""Live connections, over loopback sockets: replaced without a loss, encrypted, compressed, dead, flooded, stalled."""

import asyncio
import shutil
import ssl
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from l2_exporter.core.timetext import NS_PER_MS
from l2_exporter.runtime import inbox as inbox_module
from l2_exporter.runtime import link as link_module
from l2_exporter.simulator.exchange import Settings
from l2_exporter.simulator.running import running_exchange
from l2_exporter.simulator.truth import Truth
from tests.tools.live import INSTS, Recipe, exchange, judged, recording, run, until

FEW = Recipe(insts=INSTS[:4], per_connection=2)
FIRST, SECOND = INSTS[:2], INSTS[2:4]


def impatient(ping_after_s: float, dead_after_s: float) -> Recipe:
    """Return a recipe whose connections are given up soon."""
    return replace(FEW, rules=replace(FEW.rules, ping_after_s=ping_after_s, dead_after_s=dead_after_s))


def test_announced_close_is_a_planned_reconnect_without_a_loss(tmp_path: Path) -> None:
    async def test() -> None:
        async with exchange(FEW, "notice:2s@1s") as served, recording(served, tmp_path / "v", FEW) as live:
            await until(lambda: sum(record.reason == "done" for record in live.said("planned_reconnect")) == 2)
            await until(lambda: {live.session.links[conn].state for conn in ("okx-1", "okx-2")} == {"stopped"})
            await live.more_lines(40)
        judged(live, served.exchange.truth)
        assert live.gaps() == []
        assert sorted(record.reason or "" for record in live.said("planned_reconnect")) == ["begun"] * 2 + ["done"] * 2
        assert {(record.spec.inst, record.until_event_ns) for record in live.said("live") if record.spec} == {
            (line.spec.inst, line.live_since_ns) for line in live.lines
        }

    run(test())


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a self-signed certificate of 127.0.0.1; return it with its key."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return cert, key


def test_encrypted_connections_trust_the_given_certificate(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    recipe = replace(FEW, ca_file=cert)

    async def test() -> None:
        async with exchange(recipe, "no_snapshot", tls=context) as served:
            assert (served.ws_url[:6], served.rest_url[:8]) == ("wss://", "https://")
            async with recording(served, tmp_path / "v", recipe) as live:
                await live.all_live()
                await live.more_lines(10)
        judged(live, served.exchange.truth)
        assert live.gaps() == []

    run(test())


def test_certificate_nobody_trusts_gives_no_connection_and_says_why(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    async def test() -> None:
        async with exchange(FEW, "", tls=context) as served, recording(served, tmp_path / "v", FEW) as live:
            await until(lambda: len(live.said("disconnected")) >= 2)
            assert {"CERTIFICATE_VERIFY_FAILED" in str(record.detail) for record in live.said("disconnected")} == {True}
            assert (live.lines, live.said("connected")) == ([], [])

    run(test())


@pytest.mark.parametrize("deflate", [True, False])
def test_frames_are_compressed_where_the_venue_welcomes_it(tmp_path: Path, deflate: bool) -> None:
    recipe = replace(FEW, rules=replace(FEW.rules, deflate=deflate))

    async def test() -> None:
        async with exchange(recipe, "") as served, recording(served, tmp_path / "v", recipe) as live:
            await live.all_live()
            offers = [peer._socket.request.headers.get("Sec-WebSocket-Extensions") for peer in served._peers.values()]
            used = [bool(peer._socket.protocol.extensions) for peer in served._peers.values()]
            await live.more_lines(10)
        judged(live, served.exchange.truth)
        assert (used, [bool(offer) for offer in offers]) == ([deflate] * 2, [deflate] * 2)

    run(test())


def test_message_over_the_limit_is_a_loss_of_its_connection(tmp_path: Path) -> None:
    recipe = replace(FEW, max_message_bytes=200_000)

    async def test() -> None:
        async with (
            exchange(recipe, f"oversize:300kB@1s/{FIRST[0]}") as served,
            recording(served, tmp_path / "v", recipe) as live,
        ):
            await until(lambda: len(live.said("live")) == 6)
            await live.more_lines(20)
        judged(live, served.exchange.truth)
        assert live.gaps() == sorted((inst, "oversize") for inst in FIRST)

    run(test())


def test_half_open_link_is_given_up_as_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "WATCH_EVERY_S", 0.05)
    recipe = impatient(0.4, 1)

    async def test() -> None:
        async with (
            exchange(recipe, f"half_open:2m@1s/{FIRST[0]}") as served,
            recording(served, tmp_path / "v", recipe) as live,
        ):
            await until(lambda: len(live.said("live")) == 6)
            await live.more_lines(20)
        judged(live, served.exchange.truth)
        assert live.gaps() == sorted((inst, "stale") for inst in FIRST)

    run(test())


def test_quiet_books_are_no_dead_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "WATCH_EVERY_S", 0.05)
    recipe = impatient(0.3, 0.8)

    async def test() -> None:
        async with exchange(recipe, "quiet:1h@500ms") as served, recording(served, tmp_path / "v", recipe) as live:
            await live.all_live()
            links = live.session.links
            await until(lambda: all(live.session.recorder.feed.links[conn].control >= 8 for conn in links))
        judged(live, served.exchange.truth)
        assert (live.gaps(), [len(live.said(kind)) for kind in ("connected", "disconnected")]) == ([], [2, 0])

    run(test())


def test_stall_of_our_own_is_not_judged_as_silence_of_the_venue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "WATCH_EVERY_S", 0.05)
    recipe = impatient(0.5, 1)
    truth = Truth(with_rows=True)
    settings = Settings(instruments=tuple(recipe.insts), interval_ns=100 * NS_PER_MS)

    async def test(served: object) -> None:
        async with recording(served, tmp_path / "v", recipe) as live:  # type: ignore[arg-type]
            lives.append(live)
            await live.all_live()
            time.sleep(3)  # the stall: nothing else runs on this loop meanwhile
            await live.more_lines(40)

    lives: list = []
    with running_exchange(settings, truth=truth) as served:
        run(test(served))
    judged(lives[0], truth)
    assert lives[0].gaps() == []
    assert len(lives[0].said("connected")) == 2


def test_inputs_that_cannot_be_processed_make_reading_wait_and_end_in_a_declared_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "FULL_AT", 20)
    monkeypatch.setattr(inbox_module, "ROOM_AT", 5)
    monkeypatch.setattr(link_module, "FULL_FOR_S", 0.5)

    async def test() -> None:
        async with exchange(FEW, "") as served, recording(served, tmp_path / "v", FEW) as live:
            await live.all_live()
            longest = await held_up(live.session)
            await until(lambda: len(live.said("live")) == 8)
            await live.more_lines(20)
        judged(live, served.exchange.truth)
        assert longest <= 20 + 4
        assert live.gaps() == sorted((inst, "overflow") for inst in (*FIRST, *SECOND))

    run(test())


async def held_up(session: object) -> int:
    """Let nothing be processed until every connection has given up; return how many inputs waited at most."""
    inbox, links = session.inbox, session.links  # type: ignore[attr-defined]
    go_on, take = asyncio.Event(), inbox.take

    async def take_later(limit: int) -> list:
        taken = await take(limit)
        await go_on.wait()
        return taken

    inbox.take = take_later
    longest = 0
    while not all((link.last_error or "").startswith("overflow") for link in links.values()):
        longest = max(longest, len(inbox))
        await asyncio.sleep(0.01)
    go_on.set()
    return longest
