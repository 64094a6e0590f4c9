"""A session that records a simulated exchange over loopback sockets, and ways to wait for what it does."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from l2_exporter.archive.layout import Vault
from l2_exporter.archive.tapeorder import read_tapes
from l2_exporter.core.records import LedgerRecord, SnapshotRecord
from l2_exporter.core.state import Counts
from l2_exporter.core.timetext import NS_PER_MS, NS_PER_S
from l2_exporter.core.venue import LinkRules
from l2_exporter.runtime.clock import Clock
from l2_exporter.runtime.link import MAX_MESSAGE_BYTES
from l2_exporter.runtime.pacing import limits_of
from l2_exporter.runtime.replay import ReplayOptions, replay
from l2_exporter.runtime.rest import RestClient
from l2_exporter.runtime.session import Session, SessionSettings, spread
from l2_exporter.simulator.exchange import Settings
from l2_exporter.simulator.server import SimulatedExchange
from l2_exporter.simulator.truth import Truth
from l2_exporter.venues.okx import LINK, Okx
from tests.tools.truth import Evidence, Figures, check, same_archive

LIMIT_S = 40
LOOK_EVERY_S = 0.02
INSTS = (
    "BTC-USDT-SWAP",
    "ETH-USDT-SWAP",
    "BTC-USDT",
    "SOL-USDT-SWAP",
    "BTC-USD-SWAP",
    "BTC-USDT-270326",
    "BTC-USD-270326",
    "BTC-USD-270326-40000-C",
    "BTC-USD-270326-45000-P",
    "SIM01-USDT-SWAP",
)


QUICK = replace(LINK, connects_per_s=50)
"""The venue's rules, but for the wait between two connections."""


class OkxBy(Okx):
    """OKX whose connections are used by other rules: a test cannot wait as long as the venue's."""

    def __init__(self, rules: LinkRules) -> None:
        self.link = rules  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to record.

    Attributes:
        rules: how connections are used.
        ca_file: certificates to trust.
    """

    insts: Sequence[str] = INSTS
    per_connection: int = 5
    rules: LinkRules = QUICK
    ca_file: Path | None = None
    cadence_ns: int = NS_PER_S // 10
    max_message_bytes: int = MAX_MESSAGE_BYTES


@dataclass(slots=True)
class Live:
    """A session under way.

    Attributes:
        records: everything it wrote, in order.
    """

    session: Session
    vault: Path
    insts: Sequence[str]
    records: list[SnapshotRecord | LedgerRecord] = field(default_factory=list)

    @property
    def lines(self) -> list[SnapshotRecord]:
        """The lines written so far."""
        return [record for record in self.records if isinstance(record, SnapshotRecord)]

    def said(self, kind: str) -> list[LedgerRecord]:
        """Return the ledger records of one kind so far."""
        return [record for record in self.records if isinstance(record, LedgerRecord) and record.kind == kind]

    def gaps(self) -> list[tuple[str, str | None]]:
        """Return the losses so far, as (instrument, reason), sorted."""
        return sorted((gap.spec.inst, gap.reason) for gap in self.said("gap") if gap.spec is not None)

    async def all_live(self) -> None:
        """Wait until every book has been live."""
        wanted = set(self.insts)
        await until(lambda: wanted <= {live.spec.inst for live in self.said("live") if live.spec is not None})

    async def more_lines(self, count: int) -> None:
        """Wait until so many more lines have been written."""
        wanted = len(self.lines) + count
        await until(lambda: len(self.lines) >= wanted)

    def counts(self) -> dict[str, Counts]:
        """Return the messages of each instrument by what became of them."""
        return {inst: keeper.counts for (_, inst), keeper in self.session.recorder.feed.keepers.items()}


async def until(seen: Callable[[], bool]) -> None:
    """Wait until something has happened."""
    while not seen():
        await asyncio.sleep(LOOK_EVERY_S)


def run(test: Coroutine[object, object, None], limit_s: float = LIMIT_S) -> None:
    """Run a test, with an end."""

    async def limited() -> None:
        async with asyncio.timeout(limit_s):
            await test

    asyncio.run(limited())


def exchange(recipe: Recipe, faults: str, seed: int = 1, tls: ssl.SSLContext | None = None) -> SimulatedExchange:
    """Make an exchange that moves ten times a second."""
    settings = Settings(seed=seed, instruments=tuple(recipe.insts), interval_ns=100 * NS_PER_MS, faults=faults)
    return SimulatedExchange(settings, tls=tls, truth=Truth(with_rows=True))


@asynccontextmanager
async def recording(served: SimulatedExchange, vault: Path, recipe: Recipe) -> AsyncIterator[Live]:
    """Record an exchange that is being served, until the block is left; then stop cleanly."""
    rest = RestClient(served.rest_url, limits_of(recipe.rules), recipe.ca_file)
    tls = ssl.create_default_context(cafile=recipe.ca_file) if served.ws_url.startswith("wss:") else None
    settings = SessionSettings(
        venue=OkxBy(recipe.rules),
        ws_url=served.ws_url,
        origin="override",
        connections=spread("okx", [("books", inst) for inst in recipe.insts], recipe.per_connection),
        cadence_ns=recipe.cadence_ns,
        depth=400,
        grace_ns=NS_PER_S,
        checksum_resync=3,
        tape=True,
        fsync_ns=5 * NS_PER_S,
        tls=tls,
        jitter_seed=1,
        run="r1",
        max_message_bytes=recipe.max_message_bytes,
    )
    records: list[SnapshotRecord | LedgerRecord] = []
    session = Session(settings, Vault(vault), rest, Clock(), records.append)
    task = asyncio.create_task(session.run())
    try:
        yield Live(session, vault, recipe.insts, records)
    finally:
        session.stop()
        await task
        await asyncio.to_thread(rest.close)


def judged(live: Live, truth: Truth) -> Figures:
    """Check a recording that has ended against the truth, and that its tape gives the same bytes again."""
    figures = check(Evidence(live.vault, truth, live.insts), live.counts())
    again = live.vault.with_name(live.vault.name + "-again")
    replay(read_tapes(sorted(live.vault.glob("tape/**/*.jsonl"))), Vault(again), ReplayOptions())
    same_archive(live.vault, again)
    return figures
