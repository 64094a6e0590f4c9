"""Connections that need a ticket, over loopback sockets: asked for each time, tried again, and never written down."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from l2_exporter.archive.layout import Vault
from l2_exporter.cli.main import cli
from l2_exporter.core.records import LedgerRecord, SnapshotRecord
from l2_exporter.core.timetext import NS_PER_MS, NS_PER_S
from l2_exporter.runtime.clock import Clock
from l2_exporter.runtime.inbox import Inbox
from l2_exporter.runtime.link import Link, LinkSettings
from l2_exporter.runtime.pacing import limits_of
from l2_exporter.runtime.rest import RestClient
from l2_exporter.runtime.session import Session, SessionSettings, spread
from l2_exporter.simulator.exchange import Settings
from l2_exporter.simulator.server import SimulatedExchange
from l2_exporter.simulator.truth import Truth
from l2_exporter.venues.kucoin import FUTURES, SPOT, Kucoin, Product
from tests.tools.live import Live, run, until

INSTS = {"kucoin": ("XBTUSDTM", "XBTUSDM"), "kucoin_spot": ("BTC-USDT", "ETH-USDT")}
SECRET = "2neAiu"
"""How every token of the simulated exchange begins."""
every_exchange = pytest.mark.parametrize("product", [FUTURES, SPOT], ids=["kucoin", "kucoin_spot"])


class Noting(Kucoin):
    """KuCoin in a hurry, with note of the addresses it made; the first tokens are spoilt, as if they had expired."""

    def __init__(self, product: Product, expired: int = 0) -> None:
        super().__init__(product)
        self.link = replace(self.link, connects_per_s=50)
        self.addresses: list[str] = []
        self._expired = expired

    def address(self, ws_url: str, body: str) -> str:
        address = super().address(ws_url, body)
        self.addresses.append(address)
        return address.replace(SECRET, SECRET[::-1]) if len(self.addresses) <= self._expired else address


@asynccontextmanager
async def recorded(served: SimulatedExchange, vault: Path, venue: Kucoin) -> AsyncIterator[Live]:
    """Record two books on one connection each."""
    insts = INSTS[venue.name]
    rest = RestClient(served.rest_url, limits_of(venue.link))
    settings = SessionSettings(
        venue=venue,
        ws_url=served.ws_url,
        origin="override",
        connections=spread(venue.name, [("level2", inst) for inst in insts], 2),
        cadence_ns=NS_PER_S // 10,
        depth=400,
        grace_ns=NS_PER_S,
        checksum_resync=3,
        tape=True,
        fsync_ns=5 * NS_PER_S,
        tls=None,
        jitter_seed=1,
        run="r1",
    )
    records: list[SnapshotRecord | LedgerRecord] = []
    session = Session(settings, Vault(vault), rest, Clock(), records.append)
    task = asyncio.create_task(session.run())
    try:
        yield Live(session, vault, insts, records)
    finally:
        session.stop()
        await task
        await asyncio.to_thread(rest.close)


def served_by(venue: Kucoin, faults: str = "") -> SimulatedExchange:
    settings = Settings(venue.name, 1, INSTS[venue.name], 100 * NS_PER_MS, faults)
    return SimulatedExchange(settings, truth=Truth(with_rows=True))


def written(vault: Path) -> str:
    """Return everything that was written, whatever it is."""
    return "\n".join(path.read_text("utf-8", "replace") for path in sorted(vault.rglob("*")) if path.is_file())


@every_exchange
def test_each_connection_asks_for_a_ticket_of_its_own(product: Product, tmp_path: Path) -> None:
    venue = Noting(product)

    async def test() -> None:
        async with served_by(venue, "close@2s") as served, recorded(served, tmp_path / "v", venue) as live:
            await until(lambda: len(live.said("live")) == 4)
            await live.more_lines(10)
        assert live.gaps() == [(inst, "disconnect") for inst in sorted(INSTS[venue.name])]
        assert {address.partition("?")[0] for address in venue.addresses} == {served.ws_url}

    run(test())
    assert len({*venue.addresses}) == len(venue.addresses) == 2


@every_exchange
def test_no_token_is_taped_or_told(product: Product, tmp_path: Path) -> None:
    venue = Noting(product, expired=1)

    async def test() -> None:
        async with served_by(venue) as served, recorded(served, tmp_path / "v", venue) as live:
            await live.all_live()
            assert SECRET not in "".join(f"{link.last_error}{link.settings}" for link in live.session.links.values())
        assert SECRET not in repr(live.records)

    run(test())
    everything = written(tmp_path / "v")
    assert all(SECRET in address for address in venue.addresses)
    assert SECRET not in everything
    assert SECRET[::-1] not in everything
    assert "token=" not in everything
    assert "welcome" in everything


@every_exchange
def test_the_demo_verifies_and_its_log_has_no_token(product: Product, tmp_path: Path) -> None:
    vault = tmp_path / "v"
    args = ["demo", "--venues", product.name, "--duration", "3", "--vault", str(vault)]
    result = CliRunner().invoke(cli, args)
    assert result.exit_code == 0, result.output
    assert "verify: 0 defects" in result.output
    assert "connect" in (vault / "meta" / "logs" / "l2_exporter.log").read_text()
    assert SECRET not in result.output + written(vault)


@every_exchange
def test_an_expired_ticket_is_a_failed_attempt_and_the_next_one_has_a_new_one(product: Product, tmp_path: Path) -> None:
    venue = Noting(product, expired=1)

    async def test() -> None:
        async with served_by(venue) as served, recorded(served, tmp_path / "v", venue) as live:
            await live.all_live()
            await live.more_lines(10)
        assert live.gaps() == []
        assert [record.reason for record in live.said("maintenance")] == ["reopen"]
        assert len(live.said("connected")) == 2

    run(test())
    assert len(venue.addresses) == 2


@pytest.mark.parametrize("fault", ["rest_429@0s", "rest_5xx@0s", "rest_html@0s"])
def test_a_ticket_that_is_not_given_is_asked_for_again(fault: str, tmp_path: Path) -> None:
    venue = Noting(FUTURES)

    async def test() -> None:
        async with served_by(venue, fault) as served, recorded(served, tmp_path / "v", venue) as live:
            await live.all_live()
            failed = [str(record.detail) for record in live.said("disconnected")]
            await live.more_lines(5)
        assert len(failed) == 1
        assert "connect_failed: " in failed[0]
        assert "no ticket for a connection" in failed[0]
        assert live.gaps() == []

    run(test())


def test_an_address_that_cannot_be_is_not_quoted_where_it_may_hold_a_secret() -> None:
    async def address() -> str:
        return "http://127.0.0.1/?token=secret"

    async def at_once() -> None:
        return None

    async def test() -> None:
        inbox = Inbox()
        link = Link(
            LinkSettings(
                conn="kucoin-1",
                url="wss://ws-api-futures.kucoin.com/",
                rules=Kucoin(FUTURES).link,
                tls=None,
                replaces=None,
                before_connect=at_once,
                sent=lambda conn, text: None,
                address=address,
            ),
            inbox,
            Clock(),
        )
        task = asyncio.create_task(link.run())
        await until(lambda: link.last_error is not None)
        link.close("stop", retire=True)
        await asyncio.gather(task, return_exceptions=True)
        lines = await inbox.take(10)
        assert {str(line.frame)[:27] for line in lines} == {"connect_failed: InvalidURI:"}
        assert "secret" not in f"{lines} {link.last_error}"

    run(test())
