"""A list of instruments that means harm: ids that no file can be named by, too many of them, too many pages."""

import asyncio
import json
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from l2_exporter.archive.layout import LayoutError, Vault, decode_inst, encode_inst
from l2_exporter.archive.writer import Archive
from l2_exporter.core.books import Settings
from l2_exporter.core.errors import ConfigError, L2Error, VenueError
from l2_exporter.core.feed import Feed
from l2_exporter.core.inputs import Stamp
from l2_exporter.runtime import instruments as instruments_module
from l2_exporter.runtime.clock import Clock
from l2_exporter.runtime.instruments import MAX_ANSWERS, fetch_instruments
from l2_exporter.runtime.listing import Listing, Wanted
from l2_exporter.runtime.pacing import RestLimits
from l2_exporter.runtime.rest import RestClient, RestReply
from l2_exporter.venues.okx import Okx
from l2_exporter.venues.registry import VENUES
from tests.runtime.webserver import page, serving
from tests.tools.contract import Subject, defaults, exchange_of
from tests.tools.listed import asked_for
from tests.tools.live import INSTS, Recipe, exchange, recording, run, until
from tests.tools.processes import ledger

OKX = Okx()
FEW = Recipe(insts=INSTS[:2], per_connection=5)
A_LINE = 2500
HOSTILE_IDS = [
    *("../../../etc/passwd", "..", ".", "a/b", "a\\b", "C:", "NUL", "con.txt", "a\0b", "a\nb", "\x1b[2J", " "),
    *("\u202egnp.exe", "\u0645\u0631\u062d\u0628\u0627", "e\u0301", "\U0001f4a5", "%2e%2e", "a.", "-rf", "~"),
    *("x" * 300, "\u202e" * 80, "x" * 1_000_000),
]


def refusal(call: Callable[[], object], *errors: type[Exception]) -> str | None:
    """Return what a call is refused with, None if it is not; anything else that it raises fails the test."""
    try:
        call()
    except errors as error:
        return str(error)
    return None


def test_an_id_stays_in_its_folder_or_is_refused(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "v")
    for inst in [*HOSTILE_IDS, "a\ud800b", ""]:
        why = refusal(partial(encode_inst, inst), LayoutError)
        if why is not None:
            assert len(why) < A_LINE
            continue
        name = encode_inst(inst)
        assert decode_inst(name) == inst
        folder = vault.inst_folder("okx", "l2_spot", inst)
        assert folder.parent == vault.root / "raw" / "okx" / "l2_spot"
        folder.mkdir(parents=True)
        assert folder.resolve() == folder.absolute()


def test_a_book_of_such_an_id_is_recorded_or_refused_in_words(tmp_path: Path) -> None:
    archive = Archive(Vault(tmp_path / "v"), "okx")
    feed = Feed(Okx(), Settings(connections={"okx-1": []}), archive.past)
    for inst in HOSTILE_IDS:
        join = partial(feed.books_joined, "okx-1", [("books", inst)], {}, Stamp(1, 1))
        assert len(refusal(join, ConfigError, VenueError) or "") < A_LINE
    assert len(feed.keepers) == len(HOSTILE_IDS) - 3


def okx_list(*insts: str) -> str:
    fields = {"instType": "SPOT", "state": "live", "tickSz": "0.1", "lotSz": "1", "baseCcy": "A", "quoteCcy": "B"}
    return json.dumps({"code": "0", "data": [{**fields, "instId": inst} for inst in insts], "msg": ""})


@pytest.mark.parametrize("inst", HOSTILE_IDS)
def test_a_listed_id_that_a_pattern_names_is_begun_with_or_refused(tmp_path: Path, inst: str) -> None:
    with serving() as server, closing(RestClient(server.url, RestLimits())) as rest:
        for path in OKX.instrument_paths(["spot"]):
            server.pages[str(path)] = page(okx_list("BTC-USDT", inst))
        found = Listing(OKX, Wanted("books", ["*-USDT", "*"], 10, 5), Vault(tmp_path / "v"), rest, Clock())
        assert len(refusal(found.begin, L2Error) or "") < A_LINE
        told = {named for _, named in found.books}
        assert told == ({"BTC-USDT"} if refusal(partial(encode_inst, inst), LayoutError) else {"BTC-USDT", inst})


def test_what_joins_later_cannot_end_what_is_recorded(tmp_path: Path) -> None:
    """A pattern names what the venue lists tomorrow, and nobody is there to look at it."""
    hostile = ["x" * 300, "btc-usdt", "\u202e" * 80, "NEW-USDT", "new-usdt"]

    async def test() -> None:
        async with exchange(FEW, "") as served, recording(served, tmp_path / "v", FEW) as live:
            await live.all_live()
            with serving() as server, closing(RestClient(server.url, RestLimits())) as rest:
                for path in OKX.instrument_paths(["perp", "futures", "spot"]):
                    server.pages[str(path)] = page(okx_list("BTC-USDT"))
                found = Listing(OKX, Wanted("books", ["*"], 10, 5), Vault(tmp_path / "v"), rest, Clock())
                await asyncio.to_thread(found.begin)
                found._join(live.session, OKX.decode_instruments(okx_list("BTC-USDT", *hostile)))
                found._note(live.session)
            await until(lambda: "NEW-USDT" in live.counts())
            await live.more_lines(10)
        refused = [one["detail"]["not_joined"][0] for one in ledger(tmp_path / "v", "config")]
        assert refused == [hostile[0][:200], hostile[2], "btc-usdt", "new-usdt"]

    run(test())


class Pages:
    """Answers each request with what a function makes of its number."""

    def __init__(self, answer: Callable[[int], str]) -> None:
        self.asked = 0
        self._answer = answer

    def fetch(self, path: Any, request: str, deadline_s: float) -> RestReply:
        self.asked += 1
        return RestReply(request, f"https://venue.invalid{path}", 200, self._answer(self.asked))


def test_too_many_instruments_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instruments_module, "MAX_LISTED", 1000)
    pages = Pages(lambda number: okx_list(*(f"X{number}-{each}" for each in range(600))))
    with pytest.raises(VenueError, match="okx lists more than 1000 instruments"):
        fetch_instruments(pages, OKX, ["spot", "perp", "futures"])
    assert pages.asked == 2


def test_pages_without_end_are_not_followed() -> None:
    venue = VENUES["bybit"]
    answer = {"retCode": 0, "result": {"category": "linear", "list": []}}
    pages = Pages(lambda number: json.dumps({**answer, "result": {**answer["result"], "nextPageCursor": f"p{number}"}}))
    with pytest.raises(VenueError, match=f"more than {MAX_ANSWERS} answers"):
        fetch_instruments(pages, venue, ["perp"])


@pytest.mark.parametrize("subject", defaults(), ids=str)
def test_every_venue_reads_hostile_ids_or_says_no(subject: Subject) -> None:
    asked = exchange_of(subject, "")
    for path in subject.venue.instrument_paths(["perp", "spot"]):
        body = asked_for(asked, path)
        for inst in HOSTILE_IDS[:-1]:
            for name in asked.instruments:
                told = json.dumps(inst)[1:-1]
                read = partial(subject.venue.decode_instruments, body.replace(name, told))
                assert len(refusal(read, VenueError) or "") < A_LINE
