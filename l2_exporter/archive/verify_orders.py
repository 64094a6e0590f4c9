"""The lines of one hour file of whole books of orders: what makes them other than lines of levels."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import pairwise

from l2_exporter.archive.defects import Finding, Flaw, FlawError, LineRules, Rows, said
from l2_exporter.archive.orders import Kind
from l2_exporter.archive.orders_line import check_order_rows, decode_book, event_ns
from l2_exporter.archive.stored import StoredLine
from l2_exporter.archive.verify_book import check_best
from l2_exporter.archive.verify_line import HourChecker


class BooksChecker(HourChecker):
    """Checks the lines of one hour file, given in the file's order.

    Attributes:
        number: `n` of the line checked last.
    """

    kind = Kind.BOOKS
    number = 0

    def decode(self, raw: bytes) -> StoredLine:
        """Read the next line."""
        line, self.number = decode_book(raw)
        return line

    def check_rows(self, line: StoredLine, rules: LineRules | None) -> Iterator[Finding]:
        """Check the orders and all that follows from them."""
        if self.number < 0:
            yield Flaw.NUMBER, said("n", self.number)
        try:
            check_order_rows("bid", line.bids)
            check_order_rows("ask", line.asks)
        except FlawError as flaw:
            yield flaw.finding
            return
        levels = [len({Decimal(row[0]) for row in rows}) for rows in (line.bids, line.asks)]
        yield from _check_depth(line, levels, rules)
        yield from _check_order("bids", line.bids, -1)
        yield from _check_order("asks", line.asks, 1)
        yield from _check_ids(line)
        yield from self._check_entries(line, rules)
        yield from check_best(line)
        yield from _check_checksum(line, levels, rules)

    def _check_entries(self, line: StoredLine, rules: LineRules | None) -> Iterator[Finding]:
        """No order came to rest later than the book stands at."""
        if self.times is None:
            return
        decimals = rules.decimals if rules else None
        rows: list[Sequence[str | None]] = [*line.bids, *line.asks]
        for _, _, order_id, entered, *_ in rows:
            if entered is None:
                continue
            try:
                entered_ns = event_ns("time of entry", entered, decimals)
            except FlawError as flaw:
                yield flaw.finding
                continue
            if entered_ns > self.times.event_ns:
                yield Flaw.LEVEL, f"order {order_id} entered at {entered}, after {line.timestamp_utc}"


def _check_depth(line: StoredLine, levels: list[int], rules: LineRules | None) -> Iterator[Finding]:
    if max(levels) > line.depth:
        yield Flaw.DEPTH, f"{max(levels)} levels in a field for {line.depth}"
    if rules and rules.depth is not None and line.depth > rules.depth:
        yield Flaw.DEPTH, f"fields are named for {line.depth} levels, the channel gives {rules.depth}"
    if "partial_depth" in line.flags and min(levels) >= line.depth:
        yield Flaw.FLAG_PARTIAL, f"partial_depth, but both sides have {line.depth} levels"


def _check_order(name: str, rows: Rows, sign: int) -> Iterator[Finding]:
    keys = [sign * Decimal(row[0]) for row in rows]
    for place, (key, following) in enumerate(pairwise(keys)):
        if following < key:
            yield Flaw.LEVEL_ORDER, f"{name} are not best first: {rows[place][0]} before {rows[place + 1][0]}"
            return


def _check_ids(line: StoredLine) -> Iterator[Finding]:
    seen: set[str] = set()
    for row in (*line.bids, *line.asks):
        if row[2] in seen:
            yield Flaw.ORDER_ID, f"order {row[2]} stands twice in a book"
            return
        seen.add(row[2])


def _check_checksum(line: StoredLine, levels: list[int], rules: LineRules | None) -> Iterator[Finding]:
    """Compute the venue's checksum again, where a verdict was given and all orders it covers are stored."""
    if rules is None or rules.checksum is None or not line.checksum or line.checksum_ok is None:
        return
    sides = (line.bids, line.asks)
    covered = zip(sides, levels, strict=True)
    if not all(len(rows) >= rules.checksum_depth or held < line.depth for rows, held in covered):
        return
    computed = rules.checksum(*([row[:3] for row in rows] for rows in sides))
    if (computed == line.checksum) is not line.checksum_ok:
        yield Flaw.CHECKSUM, f"checksum {line.checksum}, of the orders {computed}, checksum_ok {line.checksum_ok}"
