"""What a venue lists: every page is followed, wrong names are refused with a hint, every change is told."""

from contextlib import closing
from dataclasses import replace

import pytest

from l2_exporter.core.errors import ConfigError, TransportError, VenueError
from l2_exporter.core.instrument import Instrument
from l2_exporter.core.records import BookSpec, LedgerRecord
from l2_exporter.core.timetext import utc_ns
from l2_exporter.core.venue import Post
from l2_exporter.runtime.instruments import (
    DEADLINE_S,
    MAX_ANSWERS,
    REQUEST,
    ListingEvent,
    check_wanted,
    compare,
    fetch_instruments,
    markets_of,
    read_listing,
)
from l2_exporter.runtime.pacing import RestLimits
from l2_exporter.runtime.rest import RestClient, RestReply
from l2_exporter.venues.okx import Okx
from tests.runtime.webserver import closed_port
from tests.venues.test_okx_instruments import BTC_USD_CALL, BTC_USD_FUTURE, BTC_USD_SWAP, BTC_USDT, BTC_USDT_SWAP, body

OKX = Okx()
ROOT = "/api/v5/public"
LISTED = {
    f"{ROOT}/instruments?instType=SPOT": body(BTC_USDT),
    f"{ROOT}/instruments?instType=SWAP": body(BTC_USDT_SWAP, BTC_USD_SWAP),
    f"{ROOT}/underlying?instType=OPTION": body(["BTC-USD", "ETH-USD"]),
    f"{ROOT}/instruments?instType=OPTION&uly=BTC-USD": body(BTC_USD_CALL),
    f"{ROOT}/instruments?instType=OPTION&uly=ETH-USD": body(),
}
SWAP, SPOT, FUTURE, CALL = (
    OKX.decode_instruments(body(row))[0] for row in (BTC_USDT_SWAP, BTC_USDT, BTC_USD_FUTURE, BTC_USD_CALL)
)
NOW_NS = utc_ns("2024-12-18T00:00:00Z")
"""The call has expired, the future has not."""


class Pages:
    """Answers paths from a table, without a network."""

    def __init__(self, pages: dict[str, str]) -> None:
        self.pages = pages
        self.asked: list[str] = []

    def fetch(self, path: str | Post, request: str, deadline_s: float) -> RestReply:
        assert (request, deadline_s) == (REQUEST, DEADLINE_S)
        assert isinstance(path, str)
        self.asked.append(path)
        if path not in self.pages:
            return RestReply(request, "https://x" + path, 404, "not found")
        return RestReply(request, "https://x" + path, 200, self.pages[path])


def ids(instruments: list[Instrument]) -> list[str]:
    return [instrument.inst for instrument in instruments]


def test_all_that_is_listed() -> None:
    pages = Pages(LISTED)
    listed = fetch_instruments(pages, OKX, ["spot", "perp", "option"])
    assert ids(listed) == ["BTC-USDT", "BTC-USDT-SWAP", "BTC-USD-SWAP", "BTC-USD-241217-92000-C"]
    assert pages.asked == list(LISTED)


def test_only_what_is_needed_is_asked_for() -> None:
    pages = Pages(LISTED)
    assert ids(fetch_instruments(pages, OKX, ["spot"])) == ["BTC-USDT"]
    assert fetch_instruments(pages, OKX, []) == []
    assert pages.asked == [f"{ROOT}/instruments?instType=SPOT"]


def test_markets_of_instruments() -> None:
    insts = ["BTC-USD-241217-92000-C", "ETH-USDT", "BTC-USDT-SWAP", "ETH-USDT-SWAP"]
    assert markets_of(OKX, insts) == ["perp", "spot", "option"]
    assert markets_of(OKX, []) == []


def test_an_answer_that_is_refused_names_venue_address_and_answer() -> None:
    reply = RestReply(REQUEST, "https://www.okx.com/x", 503, "<html>" + "busy" * 100)
    with pytest.raises(TransportError) as caught:
        read_listing(reply, OKX)
    message = str(caught.value)
    assert message.startswith(
        "okx: the list of instruments could not be fetched from https://www.okx.com/x: HTTP 503 '<html>busy"
    )
    assert len(message) < 350


def test_an_answer_that_did_not_come_names_the_reason() -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    with (
        closing(RestClient(url, RestLimits())) as client,
        pytest.raises(TransportError, match=r"okx: .*/instruments\?instType=SPOT: ConnectionError \(ConnectionRefused"),
    ):
        fetch_instruments(client, OKX, ["spot"])


def test_an_answer_that_is_no_list_is_the_venues_fault() -> None:
    pages = Pages({f"{ROOT}/instruments?instType=SPOT": "<html>blocked</html>"})
    with pytest.raises(VenueError, match="blocked"):
        fetch_instruments(pages, OKX, ["spot"])


def test_the_same_path_is_not_asked_for_twice() -> None:
    pages = Pages({**LISTED, f"{ROOT}/underlying?instType=OPTION": body(["BTC-USD", "BTC-USD"])})
    assert ids(fetch_instruments(pages, OKX, ["option"])) == [CALL.inst]
    assert pages.asked == [f"{ROOT}/underlying?instType=OPTION", f"{ROOT}/instruments?instType=OPTION&uly=BTC-USD"]


def test_pages_without_end_are_not_followed() -> None:
    pages = Pages({f"{ROOT}/underlying?instType=OPTION": body([f"X{number}-USD" for number in range(MAX_ANSWERS)])})
    with pytest.raises(VenueError, match="more than 200 answers"):
        fetch_instruments(pages, OKX, ["option"])
    assert len(pages.asked) == 1


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (["BTC-USDT-SWAP", "BTC-USDT"], None),
        ([], None),
        (["BTC-USD-24122"], "okx lists no BTC-USD-24122; did you mean BTC-USD-241220?"),
        (["btc-usdt"], "okx lists no btc-usdt; did you mean BTC-USDT or BTC-USDT-SWAP?"),
        (["DOGE"], "okx lists no DOGE; see l2-exporter instruments okx"),
        (
            ["BTC-USDT", "BTC-USD-24122", "DOGE", "DOGE"],
            "okx lists no BTC-USD-24122; did you mean BTC-USD-241220?; "
            "okx lists no DOGE; see l2-exporter instruments okx",
        ),
    ],
)
def test_wrong_names_are_refused_with_a_hint(wanted: list[str], message: str | None) -> None:
    known = [SWAP, SPOT, FUTURE]
    if message is None:
        check_wanted("okx", wanted, known)
        return
    with pytest.raises(ConfigError) as caught:
        check_wanted("okx", wanted, known)
    assert str(caught.value) == message


def test_nothing_happened() -> None:
    other_raw = replace(SWAP, raw={"lever": "50"})
    assert compare([SWAP, FUTURE], [SPOT, FUTURE, other_raw], NOW_NS) == []


def test_what_changed_is_told_with_both_values() -> None:
    new = replace(SWAP, state="suspend", tick="0.5", expiry_utc="2025-01-01T00:00:00.000Z")
    changed = {
        "tick": {"from": "0.1", "to": "0.5"},
        "state": {"from": "live", "to": "suspend"},
        "expiry_utc": {"from": None, "to": "2025-01-01T00:00:00.000Z"},
    }
    assert compare([SWAP], [new], NOW_NS) == [ListingEvent("spec_changed", SWAP.inst, {"changed": changed})]


def test_what_is_gone_has_expired_or_was_delisted() -> None:
    delisted_swap = replace(SWAP, expiry_utc="2024-12-17T08:00:00.000Z")
    assert compare([delisted_swap, CALL, FUTURE, SPOT], [], NOW_NS) == [
        ListingEvent("delisted", SWAP.inst),
        ListingEvent("expired", CALL.inst),
        ListingEvent("delisted", FUTURE.inst),
        ListingEvent("delisted", SPOT.inst),
    ]


def test_an_event_becomes_a_record_of_its_book() -> None:
    spec = BookSpec("okx", "perp", "l2_perps", "books", SWAP.inst, 400, 3)
    assert ListingEvent("delisted", SWAP.inst).record(NOW_NS, spec) == LedgerRecord(NOW_NS, "delisted", spec=spec)
    assert ListingEvent("spec_changed", SWAP.inst, {"changed": {}}).record(NOW_NS, spec).detail == {"changed": {}}
