"""What a simulated venue lists: an instrument, its grid of prices and sizes, and how lively its book is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Grid:
    """The multiples of a tick or lot: `units * 10 ** -decimals`.

    Attributes:
        units: the step, counted in the last decimal (5 for a tick of 0.05).
        decimals: digits behind the point (2 for a tick of 0.05); negative never.
        padded: all of them are written, `30181.30` and not `30181.3`.
    """

    units: int
    decimals: int
    padded: bool = False

    @property
    def step(self) -> str:
        """Write one step, `0.05`."""
        return self.text(1)

    def text(self, count: int) -> str:
        """Write `count` steps (zero or more) in plain decimals, mostly without trailing zeros: `30184`, `30181.3`."""
        digits = str(count * self.units).rjust(self.decimals + 1, "0")
        if not self.decimals:
            return digits
        text = f"{digits[: -self.decimals]}.{digits[-self.decimals :]}"
        return text if self.padded else text.rstrip("0").rstrip(".")


@dataclass(frozen=True, slots=True)
class Pace:
    """How an instrument's market looks and moves.

    Attributes:
        price: the price it starts at, in ticks; it comes back there in the long run.
        size: mean size of a level, in lots.
        fewest: levels a side has at least.
        most: levels a side has at most; those beyond a channel's depth are not seen.
        touches: levels a side that change in one step, on average somewhat more.
        activity: chance that a step changes anything at all.
    """

    price: int
    size: int
    fewest: int
    most: int
    touches: int
    activity: float


@dataclass(frozen=True, slots=True)
class Instrument:
    """One instrument as its venue lists it.

    Attributes:
        inst: the venue's id.
        market: `spot`, `perp`, `futures` or `option`.
        kind: `linear`, `inverse`, or empty for spot.
        contract_value: amount of `contract_ccy` in one contract; empty for spot.
        expiry_ns: end of trading; None where there is none.
        strike: strike price of an option, else empty.
        right: `C` or `P` of an option, else empty.
    """

    inst: str
    base: str
    quote: str
    settle: str
    market: str
    kind: str
    tick: Grid
    lot: Grid
    contract_value: str
    contract_ccy: str
    listed_ns: int
    expiry_ns: int | None
    strike: str
    right: str
    pace: Pace
