"""Numbers for people: aligned at their decimal points, and the spread between them."""

from collections.abc import Sequence
from decimal import Context, Decimal

_EXACT = Context(prec=256, Emax=10_000, Emin=-10_000)


def aligned(texts: Sequence[str]) -> list[str]:
    """Pad numbers so that their decimal points stand below each other."""
    wholes = max((len(text.partition(".")[0]) for text in texts), default=0)
    padded = [" " * (wholes - len(text.partition(".")[0])) + text for text in texts]
    width = max(map(len, padded), default=0)
    return [text.ljust(width) for text in padded]


def spread(best_bid: str | None, best_ask: str | None) -> str | None:
    """Write best ask minus best bid exactly; negative on a crossed book, None if a side is empty."""
    if best_bid is None or best_ask is None:
        return None
    return format(_EXACT.subtract(Decimal(best_ask), Decimal(best_bid)), "f")
