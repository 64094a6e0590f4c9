"""Bitfinex, server side: raw books (`R0`), whose rows are single orders. The other part of the dialect `bitfinex`."""

from collections.abc import Sequence
from decimal import Decimal
from random import Random
from zlib import crc32

from l2_exporter.simulator.dialect import Channel
from l2_exporter.simulator.orderevents import OrderStyle, Row
from l2_exporter.simulator.wire import Push

RAW = "R0"
RAW_LENGTHS = {"250": "book-R0", "100": "book-R0-100", "25": "book-R0-25"}
CHECKED = 25
FIRST_ID = 60_500_000_000
FINER = 2
"""Digits of raw prices behind those that levels are rounded to."""


def number_text(text: str) -> str:
    """Write a number, given in any decimal notation, as JavaScript does: `0.000001` but `7e-7`, `5000`, never `5000.0`.

    The rule of `Number::toString` (ECMA-262, "Number::toString", radix 10), for numbers that are not negative.
    """
    number = Decimal(text)
    if not number:
        return "0"
    _, figures, exponent = number.normalize().as_tuple()
    digits = "".join(map(str, figures))
    point = len(digits) + int(exponent)  # where the point stands, counted from the first digit
    if len(digits) <= point <= 21:
        return digits.ljust(point, "0")
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    mantissa = digits if len(digits) == 1 else f"{digits[0]}.{digits[1:]}"
    return f"{mantissa}e{point - 1:+d}"


def signed_crc(told: Sequence[str]) -> int:
    """Compute CRC-32, signed, of what a checksum is made of."""
    return int.from_bytes(crc32(":".join(told).encode()).to_bytes(4, "big"), "big", signed=True)


def raw_checksum(bids: Sequence[Row], asks: Sequence[Row]) -> int:
    """Compute the checksum of id and amount of the best 25 orders, bid and ask by turns; at one price by id.

    Args:
        bids: best price first.
        asks: best price first.
    """
    sides = [("", _checked(bids, -1)), ("-", _checked(asks, 1))]
    told: list[str] = []
    for place in range(CHECKED):
        for sign, rows in sides:
            told += [f"{row[2]}:{sign}{row[1]}" for row in rows[place : place + 1]]
    return signed_crc(told)


def _checked(rows: Sequence[Row], sign: int) -> list[Row]:
    """Choose the orders a checksum is made of; where they end, all of one price are compared by their ids."""
    end = CHECKED
    while CHECKED <= end < len(rows) and rows[end][0] == rows[CHECKED - 1][0]:
        end += 1
    return sorted(rows[:end], key=lambda row: (sign * Decimal(row[0]), int(row[2])))[:CHECKED]


def raw_rows(push: Push) -> list[str]:
    """Write the orders of a push, those that go first."""
    gone, there = [], []
    for sign, rows in (("", push.bids), ("-", push.asks)):
        for price, size, order_id, _ in rows:
            if size == "0":
                gone.append(f"[{order_id},0,{sign}1]")
            else:
                there.append(f"[{order_id},{price},{sign}{size}]")
    return gone + there


def _make_id(random: Random, number: int) -> str:
    """Make an order's number: those of one book rise, with others between them."""
    return str(FIRST_ID + number * 1_000 + random.randrange(1_000))


STYLE = OrderStyle(_make_id, decimals=FINER, number=number_text, checksum=raw_checksum)
RAW_CHANNELS = {
    name: Channel(name, int(length), whole=False, checksum=True, keepalive_ns=10**21, sums="right", orders=STYLE)
    for length, name in RAW_LENGTHS.items()
}
