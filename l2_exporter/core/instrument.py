"""One instrument's metadata in one form for all venues, and what a change of it is.

Decimals are plain text without trailing zeros (`0.01`), so that equal numbers have equal texts; the venue's own texts
stand in `raw`. What the venue does not tell, or tells in a way we cannot read, is None.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from decimal import Context, Decimal

from l2_exporter.core.decimaltext import is_number, is_zero
from l2_exporter.core.timetext import END_OF_TIME_NS, NS_PER_MS, utc_ns, utc_text

NEAR_COUNT = 3
NEAR_CUTOFF = 0.7
_MS_DECIMALS = 3
_MAX_MS_DIGITS = 15
_EXACT = Context(prec=256, Emax=10_000, Emin=-10_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """Metadata of one instrument; the fields stand in the order of the public format (docs/FORMAT.md).

    Attributes:
        inst: the id used in paths and lines.
        symbol: BASE/QUOTE, with :SETTLE for derivatives.
        quote: what prices are in; for an option that is settled in its base, what its strike is in.
        market: perp, futures, spot or option.
        kind: linear, inverse or quanto; None: spot.
        size_unit: what the sizes of levels count: contract, base or quote.
        contract_value: worth of one contract in `contract_value_ccy`, multiplier included.
        state: the venue's own word.
        right: call or put.
        raw: the venue's own fields as sent, JSON values only.
    """

    venue: str
    inst: str
    symbol: str | None = None
    base: str | None = None
    quote: str | None = None
    settle: str | None = None
    market: str
    kind: str | None = None
    size_unit: str | None = None
    contract_value: str | None = None
    contract_value_ccy: str | None = None
    tick: str | None = None
    lot: str | None = None
    state: str | None = None
    list_utc: str | None = None
    expiry_utc: str | None = None
    strike: str | None = None
    right: str | None = None
    raw: Mapping[str, object] = field(default_factory=dict, hash=False)


_COMPARED = tuple(each.name for each in fields(Instrument) if each.name != "raw")


def changes(old: Instrument, new: Instrument) -> tuple[str, ...]:
    """Name the fields that differ, in the order of the format.

    `raw` is left out: it holds what says nothing about recorded lines (order limits, fee groups), and on some venues
    what moves with every request (volumes, last prices), so that every look would be a change.
    """
    return tuple(name for name in _COMPARED if getattr(old, name) != getattr(new, name))


def expired(instrument: Instrument, now_ns: int) -> bool:
    """Tell whether an instrument that ends has reached its end."""
    return instrument.expiry_utc is not None and utc_ns(instrument.expiry_utc) <= now_ns


def near(wanted: str, known: Iterable[str]) -> list[str]:
    """Return the ids that a user may have meant, best first, at most three; upper and lower case do not matter."""
    by_fold: dict[str, list[str]] = {}
    for inst in sorted(set(known)):
        by_fold.setdefault(inst.casefold(), []).append(inst)
    matches = difflib.get_close_matches(wanted.casefold(), list(by_fold), NEAR_COUNT, NEAR_CUTOFF)
    return [inst for match in matches for inst in by_fold[match]][:NEAR_COUNT]


def symbol_of(base: str | None, quote: str | None, settle: str | None = None) -> str | None:
    """Write BASE/QUOTE or BASE/QUOTE:SETTLE, None without both of the first two."""
    if base is None or quote is None:
        return None
    return f"{base}/{quote}:{settle}" if settle else f"{base}/{quote}"


def amount(value: object) -> str | None:
    """Write a positive number, given as text, as plain text without trailing zeros; None for anything else."""
    if not isinstance(value, str) or not is_number(value) or is_zero(value):
        return None
    return _plain(Decimal(value))


def product(a: object, b: object) -> str | None:
    """Write the exact product of two positive numbers, None unless both are such."""
    first, second = amount(a), amount(b)
    if first is None or second is None:
        return None
    return _plain(_EXACT.multiply(Decimal(first), Decimal(second)))


def utc_of_ms(value: object) -> str | None:
    """Write epoch milliseconds, given as text, as UTC text; None for what is no time: empty, zero, not digits."""
    if not isinstance(value, str) or not (value.isascii() and value.isdecimal()) or len(value) > _MAX_MS_DIGITS:
        return None
    moment_ns = int(value) * NS_PER_MS
    return utc_text(moment_ns, _MS_DECIMALS) if 0 < moment_ns < END_OF_TIME_NS else None


def _plain(number: Decimal) -> str | None:
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text if is_number(text) else None  # longer than any number we keep
