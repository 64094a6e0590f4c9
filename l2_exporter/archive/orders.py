"""The three datasets of a channel of orders: which is which, and which belong together (docs/FORMAT.md, 14)."""

from collections.abc import Iterator
from enum import Enum

from l2_exporter.archive.defects import Rules
from l2_exporter.core.venue import DATASETS, FROM_ORDERS


class Kind(Enum):
    """What the lines of a dataset are."""

    LEVELS = "levels"
    EVENTS = "events"
    BOOKS = "books"


_LEVELS = {dataset: market for market, dataset in DATASETS.items()}
_EVENTS = {dataset.replace("l2_", "l3_"): market for dataset, market in _LEVELS.items()}
_BASES = {
    Kind.LEVELS: _LEVELS,
    Kind.EVENTS: _EVENTS,
    Kind.BOOKS: {f"{dataset}_books": market for dataset, market in _EVENTS.items()},
}


def kind_of(dataset: str) -> Kind | None:
    """Tell what the lines of a dataset are; None for one that is none of ours."""
    base = dataset.partition(".")[0]
    return next((kind for kind, bases in _BASES.items() if base in bases), None)


def market_of(dataset: str) -> str | None:
    """Tell the market that a dataset is of; None for one that is none of ours."""
    base = dataset.partition(".")[0]
    return next((bases[base] for bases in _BASES.values() if base in bases), None)


def suffix_of(kind: Kind, suffix: str) -> str:
    """Tell what stands behind the base of a dataset, given that of the channel's levels."""
    if kind is Kind.LEVELS:
        return suffix
    return suffix.removeprefix(FROM_ORDERS).lstrip("-.")


def books_beside(events: str) -> str:
    """Name the dataset of whole books that belongs to one of events."""
    base, dot, suffix = events.partition(".")
    return f"{base}_books{dot}{suffix}"


def levels_beside(venue: str, events: str, rules: Rules) -> Iterator[str]:
    """Name the datasets of levels that are made of these events: one, if the channel is known."""
    base, _, suffix = events.partition(".")
    market = _BASES[Kind.EVENTS].get(base)
    for (exchange, _), rule in rules.items():
        if exchange == venue and rule.orders and suffix_of(Kind.EVENTS, rule.suffix) == suffix and market:
            yield f"{DATASETS[market]}.{rule.suffix}" if rule.suffix else DATASETS[market]
