"""Which instruments a user means: the venue's own ids, symbols of ours, wire codes, and patterns with exclusions.

One item of a selection is, tried in this order: the venue's own id; a pattern of ids (`*-USDT-SWAP`; `*`, `?` and
`[...]` as in file names, case as written); `BASE/QUOTE` or `BASE-QUOTE` (spot) and `BASE/QUOTE:SETTLE` (perpetuals;
what expires is named by its id); what the wire calls it. An item that begins with `!` takes away what it names.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from l2_exporter.core.errors import ConfigError
from l2_exporter.core.instrument import Instrument

EXCLUDES = "!"
_WILD = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Selected:
    """What a selection came to.

    Attributes:
        insts: the ids, each once, in the order in which the items name them.
        unknown: items that name nothing that is listed.
    """

    insts: tuple[str, ...]
    unknown: tuple[str, ...]


def is_pattern(item: str) -> bool:
    """Tell whether an item may name several instruments, and others tomorrow."""
    return not _WILD.isdisjoint(item)


def is_plain(items: Sequence[str]) -> bool:
    """Tell whether items can all be ids: nothing is excluded and nothing is a pattern."""
    return not any(item.startswith(EXCLUDES) or is_pattern(item) for item in items)


def select(
    venue: str, items: Sequence[str], listed: Sequence[Instrument], code_of: Callable[[Instrument], str]
) -> Selected:
    """Resolve items against what a venue lists.

    Raises:
        ConfigError: an item means two instruments; both are named.
    """
    catalogue = _Catalogue(venue, listed, code_of)
    chosen: dict[str, None] = {}
    unknown = []
    for item in items:
        if item.startswith(EXCLUDES):
            continue
        insts = catalogue.find(item)
        if not insts:
            unknown.append(item)
        chosen.update(dict.fromkeys(insts))
    for item in items:
        if item.startswith(EXCLUDES):
            for inst in catalogue.find(item.removeprefix(EXCLUDES)):
                chosen.pop(inst, None)
    return Selected(tuple(chosen), tuple(unknown))


class _Catalogue:
    """What a venue lists, by every name it can be meant by."""

    def __init__(self, venue: str, listed: Sequence[Instrument], code_of: Callable[[Instrument], str]) -> None:
        self._venue = venue
        self._insts = dict.fromkeys(one.inst for one in listed)
        self._names: dict[str, dict[str, None]] = {}
        for one in listed:
            for name in _names(one):
                self._names.setdefault(name, {})[one.inst] = None
        self._codes = {code_of(one): one.inst for one in listed}

    def find(self, item: str) -> list[str]:
        """Return the ids an item names."""
        if item in self._insts:
            return [item]
        if is_pattern(item):
            return [inst for inst in self._insts if fnmatchcase(inst, item)]
        named = [*self._names.get(item, ())]
        if len(named) > 1:
            raise ConfigError(f"{self._venue}:{item} can mean {' or '.join(named)}; name one of them by its id")
        return named or ([self._codes[item]] if item in self._codes else [])


def _names(one: Instrument) -> list[str]:
    """List the symbols by which an instrument can be meant beside its id."""
    if one.symbol is None or one.market not in ("spot", "perp"):
        return []
    return [one.symbol] if one.market == "perp" else [one.symbol, f"{one.base}-{one.quote}"]
