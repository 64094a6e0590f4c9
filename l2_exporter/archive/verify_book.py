"""The levels of a stored line: well-formed, best first, and what was derived from them derived rightly."""

from collections.abc import Iterator
from decimal import Decimal
from itertools import chain, pairwise
from operator import gt, lt

from l2_exporter.archive.defects import Finding, Flaw, FlawError, LineRules, Rows, said
from l2_exporter.archive.stored import StoredLine
from l2_exporter.core.decimaltext import FLOAT_DIGITS, Key, all_numbers, fits_float, is_number, is_zero, mean_text
from l2_exporter.core.errors import clip
from l2_exporter.core.events import Numbers
from l2_exporter.core.rows import any_removed, in_order, sides_of

PRICE_AND_SIZE = 2


def check_book(line: StoredLine, rules: LineRules | None) -> Iterator[Finding]:
    """Check the levels and all that follows from them: best prices, mid price, `crossed`, the checksum."""
    slots = rules.slots if rules else PRICE_AND_SIZE
    sides = sides_of(line.bids, line.asks, slots)
    bids, asks = (sides[2] if sides else None) or (None, None)
    try:
        check_levels("bid", line.bids, slots, bids)
        check_levels("ask", line.asks, slots, asks)
    except FlawError as flaw:
        yield flaw.finding
        return
    yield from _check_depth(line, rules)
    yield from _check_order("bids", line.bids, "descend", bids)
    yield from _check_order("asks", line.asks, "ascend", asks)
    yield from check_best(line)
    yield from _check_checksum(line, rules)


def check_levels(side: str, rows: Rows, slots: int = PRICE_AND_SIZE, numbers: Numbers | None = None) -> None:
    """Refuse a row that is not a price and a size, in texts of decimal numbers, neither of them zero.

    Args:
        numbers: of the rows, where they are known to be short plain texts with a price above zero.

    Raises:
        FlawError: naming the side and the row.
    """
    if numbers is not None and not any_removed(numbers):
        return
    if _are_texts(rows, slots):
        tokens = [row[place] for place in range(PRICE_AND_SIZE) for row in rows]
        if all_numbers(tokens) and 0 not in map(float, tokens):  # no number of ours is so small that its float is 0
            return
    for row in rows:
        if not _are_texts([row], slots):
            raise FlawError(Flaw.LEVEL, f"{side} {clip(row)} is not a list of {slots} texts")
        if not all(is_number(token) and not is_zero(token) for token in row[:PRICE_AND_SIZE]):
            raise FlawError(Flaw.LEVEL, f"{side} {clip(row)} is not a positive price and size")


def _are_texts(rows: Rows, slots: int) -> bool:
    """Tell whether every row is a list of at least so many strings, with loops in C: an hour has a million rows."""
    if not set(map(type, rows)) <= {list} or min(map(len, rows), default=slots) < slots:
        return False
    return set(map(type, chain.from_iterable(rows))) <= {str}


def _check_depth(line: StoredLine, rules: LineRules | None) -> Iterator[Finding]:
    held = max(len(line.bids), len(line.asks))
    if held > line.depth:
        yield Flaw.DEPTH, f"{held} levels in a field for {line.depth}"
    if rules and rules.depth is not None and line.depth > rules.depth:
        yield Flaw.DEPTH, f"fields are named for {line.depth} levels, the channel gives {rules.depth}"
    if "partial_depth" in line.flags and min(len(line.bids), len(line.asks)) >= line.depth:
        yield Flaw.FLAG_PARTIAL, f"partial_depth, but both sides have {line.depth} levels"


def _check_order(name: str, rows: Rows, direction: str, numbers: Numbers | None) -> Iterator[Finding]:
    if numbers is not None and in_order(numbers, descending=direction == "descend"):
        return
    prices = [row[0] for row in rows]
    # Floats and Decimals do not mix: a float that is exact as a key is not the number itself.
    short = max(map(len, prices), default=0) <= FLOAT_DIGITS
    number: type[float] | type[Decimal] = float if short or all(map(fits_float, prices)) else Decimal
    keys: list[Key] = list(map(number, prices))
    if keys == sorted(set(keys), reverse=direction == "descend"):
        return
    beyond = gt if direction == "descend" else lt
    place = next(place for place, pair in enumerate(pairwise(keys)) if not beyond(*pair))
    yield Flaw.LEVEL_ORDER, f"{name} do not {direction}: {prices[place]} before {prices[place + 1]}"


def check_best(line: StoredLine) -> Iterator[Finding]:
    """Check what is said of the best prices: themselves, their mean, and whether they cross."""
    bid = line.bids[0][0] if line.bids else None
    ask = line.asks[0][0] if line.asks else None
    for name, value, right in (("best_bid", line.best_bid, bid), ("best_ask", line.best_ask, ask)):
        if value != right:
            yield Flaw.BEST, f"{said(name, value)}, the first level {clip(right)}"
    mid = mean_text(bid, ask) if bid and ask else None
    if line.mid_price != mid:
        yield Flaw.MID, f"{said('mid_price', line.mid_price)}, the mean of the best prices {clip(mid)}"
    crossed = bool(bid and ask and Decimal(bid) >= Decimal(ask))
    if crossed != ("crossed" in line.flags):
        yield Flaw.FLAG_CROSSED, f"best bid {bid}, best ask {ask}, flags {clip(line.flags)}"


def _check_checksum(line: StoredLine, rules: LineRules | None) -> Iterator[Finding]:
    """Compute the venue's checksum again, where a verdict was given and all levels it covers are stored."""
    if rules is None or rules.orders or rules.checksum is None or not line.checksum or line.checksum_ok is None:
        return
    if not all(_covered(line, rows, rules.checksum_depth) for rows in (line.bids, line.asks)):
        return
    computed = rules.checksum(line.bids[: rules.checksum_depth], line.asks[: rules.checksum_depth])
    if (computed == line.checksum) is not line.checksum_ok:
        yield Flaw.CHECKSUM, f"checksum {line.checksum}, of the levels {computed}, checksum_ok {line.checksum_ok}"


def _covered(line: StoredLine, rows: Rows, wanted: int) -> bool:
    """Tell whether a stored side holds all that a checksum covers: enough levels, or the whole side."""
    return len(rows) >= wanted or (len(rows) < line.depth and "partial_depth" not in line.flags)
