"""The listing of a recording: what was named is resolved before anything is written, and what is new joins."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from l2_exporter.archive.disk import Disk
from l2_exporter.archive.layout import Vault
from l2_exporter.archive.metadata import Metadata
from l2_exporter.archive.tapeorder import read_tapes
from l2_exporter.core.errors import ConfigError
from l2_exporter.core.instrument import Instrument
from l2_exporter.runtime.clock import Clock
from l2_exporter.runtime.listing import Listing, Wanted
from l2_exporter.runtime.pacing import RestLimits, limits_of
from l2_exporter.runtime.replay import ReplayOptions, replay
from l2_exporter.runtime.rest import RestClient
from l2_exporter.simulator.exchange import Settings
from l2_exporter.simulator.running import running_exchange
from l2_exporter.venues.okx import Okx
from tests.runtime.webserver import closed_port
from tests.tools.live import QUICK, Recipe, exchange, recording, run
from tests.tools.replaying import hour_files
from tests.tools.truth import same_archive

INSTS = ("BTC-USDT-SWAP", "ETH-USDT-SWAP", "BTC-USDT", "DOGE-USDT-SWAP")


def listing(vault: Path, rest: RestClient, items: Sequence[str], most: int = 200) -> Listing:
    return Listing(Okx(), Wanted("books", items, most, 25), Vault(vault), rest, Clock())


@contextmanager
def simulated() -> Iterator[RestClient]:
    with running_exchange(Settings(instruments=INSTS)) as served:
        rest = RestClient(served.rest_url, limits_of(QUICK))
        with closing(rest):
            yield rest


def begun(vault: Path, items: Sequence[str], most: int = 200) -> list[str]:
    with simulated() as rest:
        found = listing(vault, rest, items, most)
        found.begin()
        return [inst for _, inst in found.books]


@pytest.mark.parametrize(
    ("items", "insts"),
    [
        (["BTC-USDT-SWAP"], ["BTC-USDT-SWAP"]),
        (["BTC/USDT:USDT", "BTC/USDT"], ["BTC-USDT-SWAP", "BTC-USDT"]),
        (["*-USDT-SWAP", "!DOGE*"], ["BTC-USDT-SWAP", "ETH-USDT-SWAP"]),
        (["*"], ["BTC-USDT-SWAP", "ETH-USDT-SWAP", "DOGE-USDT-SWAP", "BTC-USDT"]),
    ],
)
def test_what_was_named_is_resolved_and_nothing_written(tmp_path: Path, items: list[str], insts: list[str]) -> None:
    assert sorted(begun(tmp_path, items)) == sorted(insts)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("items", "most", "why"),
    [
        (["BTC-USDT-SWOP"], 200, "okx lists no BTC-USDT-SWOP; did you mean BTC-USDT-SWAP"),
        (["*-SWOP"], 200, r"okx lists no \*-SWOP"),
        (["BTC-USDT", "!BTC*"], 200, "everything that was named is excluded again"),
        (["*-SWAP"], 2, "3 instruments are meant, max_instruments allows 2"),
    ],
)
def test_what_is_refused(tmp_path: Path, items: list[str], most: int, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        begun(tmp_path, items, most)


def test_without_the_venue_s_list_ids_are_taken_as_they_are_and_patterns_from_what_was_saved(tmp_path: Path) -> None:
    with closing(RestClient(f"http://127.0.0.1:{closed_port()}", RestLimits())) as rest:
        plain = listing(tmp_path, rest, ["BTC-USDT-SWAP"])
        plain.begin()
        assert ([*plain.books], plain.unchecked) == ([("books", "BTC-USDT-SWAP")], ["BTC-USDT-SWAP"])
        with pytest.raises(ConfigError, match="without saved metadata nobody knows what"):
            listing(tmp_path, rest, ["*-USDT-SWAP"]).begin()
        for one in saved_instruments():
            Metadata(Disk(), Vault(tmp_path)).remember(one, 1)
        known = listing(tmp_path, rest, ["*-USDT-SWAP", "!DOGE*"])
        known.begin()
        assert [inst for _, inst in known.books] == ["BTC-USDT-SWAP", "ETH-USDT-SWAP"]
        assert known.unchecked == []


def saved_instruments() -> list[Instrument]:
    with simulated() as rest:
        return Okx().decode_instruments(rest.fetch("/api/v5/public/instruments?instType=SWAP").body)


def test_a_book_that_joins_later_is_recorded_and_its_tape_gives_the_same_bytes(tmp_path: Path) -> None:
    recipe = Recipe(insts=INSTS, per_connection=5)
    vault = tmp_path / "vault"

    async def test() -> None:
        async with exchange(recipe, "") as served, recording(served, vault, Recipe(insts=INSTS[:1])) as live:
            await live.all_live()
            live.session.join([("books", INSTS[1]), ("books", INSTS[2])], {}, 2)
            live.insts = INSTS[:3]
            await live.all_live()
            await live.more_lines(9)
            feed = live.session.recorder.feed
            assert {inst: keeper.says.conn for (_, inst), keeper in feed.keepers.items()} == {
                INSTS[0]: "okx-1",
                INSTS[1]: "okx-1",
                INSTS[2]: "okx-2",
            }
            assert live.gaps() == []

    run(test())
    assert {path.split("/")[3] for path in hour_files(vault)} == {*INSTS[:3]}
    again = tmp_path / "again"
    replay(read_tapes(sorted(vault.glob("tape/**/*.jsonl"))), Vault(again), ReplayOptions())
    same_archive(vault, again)
