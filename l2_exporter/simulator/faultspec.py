"""The grammar of `--faults`: `name[:value|=word][@start[+every]][/instrument]`, several separated by commas."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase

from l2_exporter.core.errors import ConfigError, clip
from l2_exporter.core.timetext import NS_PER_MS, NS_PER_S
from l2_exporter.simulator.faultkinds import FAULTS, FaultKind, Moment, Takes

_FAULT = re.compile(
    r"(?P<name>\w+)(?:(?P<mark>[:=])(?P<value>[^@/]*))?(?:@(?P<at>[^+/]*)(?:\+(?P<every>[^/]*))?)?(?:/(?P<insts>.+))?",
    re.ASCII,
)
_SPAN = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)", re.ASCII)
_SIZE = re.compile(r"(\d{1,6})(kB|MB)", re.ASCII)
_SPAN_NS = {"ms": NS_PER_MS, "s": NS_PER_S, "m": 60 * NS_PER_S, "h": 3600 * NS_PER_S}
_SIZE_BYTES = {"kB": 1_000, "MB": 1_000_000}


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """One fault that was asked for. Of chance, span, size and word at most one is set.

    Attributes:
        text: as the user wrote it.
        at_ns: when it happens, or from when on, counted from the start of the exchange; None: from the start on.
        every_ns: after this it happens again, and again; None: it happens once.
        insts: pattern of the instruments it hits, `*` and `?` as in file names; None: all.
    """

    text: str
    name: str
    chance: float | None = None
    span_ns: int | None = None
    size_bytes: int | None = None
    word: str | None = None
    at_ns: int | None = None
    every_ns: int | None = None
    insts: str | None = None

    def selects(self, inst: str | None) -> bool:
        """Tell whether this fault may hit an instrument; what belongs to no instrument is hit where all are."""
        return self.insts is None or (inst is not None and fnmatchcase(inst, self.insts))


def parse_faults(text: str) -> tuple[FaultSpec, ...]:
    """Read a list of faults; an empty text is none.

    Raises:
        ConfigError: an unknown name, a value that is missing, wrong or too much.
    """
    return tuple(_fault(part.strip()) for part in text.split(",") if part.strip())


def _fault(text: str) -> FaultSpec:
    match = _FAULT.fullmatch(text)
    if match is None:
        raise ConfigError(f"fault {clip(text)} is not written like name:value@start/instrument, e.g. drop:0.01")
    name = match["name"]
    if name not in FAULTS:
        raise _unknown(name)
    kind = FAULTS[name]
    _require_mark(text, kind, match["mark"])
    value = match["value"] or (kind.default if match["mark"] is None else "")
    at_ns = None if match["at"] is None else _span_ns(text, match["at"])
    every_ns = None if match["every"] is None else _span_ns(text, match["every"])
    _require_moment(text, kind, at_ns, every_ns)
    chance, span_ns, size_bytes, word = _value(text, kind, value, moment_given=at_ns is not None)
    if every_ns is not None and (
        chance is not None or (kind.moment is not Moment.MUST and kind.takes is not Takes.CHANCE)
    ):
        raise ConfigError(f"fault {clip(text)}: only what happens at a moment can repeat, e.g. {name}@10s+60s")
    if kind.whole_venue and (every_ns is not None or match["insts"] is not None):
        raise ConfigError(f"fault {clip(text)}: {name} hits the whole venue, once, e.g. {kind.example}")
    return FaultSpec(text, name, chance, span_ns, size_bytes, word, at_ns, every_ns, match["insts"])


def _unknown(name: str) -> ConfigError:
    near = get_close_matches(name, FAULTS, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(FAULTS)}"
    return ConfigError(f"there is no fault {clip(name)}; {hint}")


def _require_mark(text: str, kind: FaultKind, mark: str | None) -> None:
    wanted = {Takes.NOTHING: None, Takes.WORD: "="}.get(kind.takes, ":")
    if mark is not None and mark != wanted:
        takes = "takes no value" if wanted is None else f"takes {kind.takes.value}"
        raise ConfigError(f"fault {clip(text)}: {kind.name} {takes}, e.g. {kind.example}")


def _require_moment(text: str, kind: FaultKind, at_ns: int | None, every_ns: int | None) -> None:
    if at_ns is None and kind.moment is Moment.MUST:
        raise ConfigError(f"fault {clip(text)}: say when, e.g. {kind.example}")
    if at_ns is not None and kind.moment is Moment.NEVER:
        raise ConfigError(f"fault {clip(text)}: {kind.name} lasts from the start on, without @")
    if every_ns == 0:
        raise ConfigError(f"fault {clip(text)}: it can repeat only after a time above 0")


def _value(
    text: str, kind: FaultKind, value: str, *, moment_given: bool
) -> tuple[float | None, int | None, int | None, str | None]:
    """Read what stands behind the name, as (chance, span, size, word)."""
    if kind.takes is Takes.CHANCE and (value or not moment_given):
        return _chance(text, kind, value), None, None, None
    if kind.takes is Takes.SPAN:
        return None, _span_ns(text, value), None, None
    if kind.takes is Takes.SIZE:
        return None, None, _size_bytes(text, value), None
    if kind.takes is Takes.WORD:
        return None, None, None, _word(text, kind, value)
    return None, None, None, None


def _chance(text: str, kind: FaultKind, value: str) -> float:
    if re.fullmatch(r"[01](\.\d{1,9})?", value, re.ASCII) and float(value) <= 1:
        return float(value)
    raise ConfigError(f"fault {clip(text)}: {kind.name} takes a chance from 0 to 1, or a moment: {kind.name}@10s")


def _span_ns(text: str, value: str) -> int:
    match = _SPAN.fullmatch(value)
    if match is None:
        raise ConfigError(f"fault {clip(text)}: {value!r} is not a time like 5s, 200ms, 2m or 1h")
    return round(float(match[1]) * 1000) * _SPAN_NS[match[2]] // 1000


def _size_bytes(text: str, value: str) -> int:
    match = _SIZE.fullmatch(value)
    if match is None:
        raise ConfigError(f"fault {clip(text)}: {value!r} is not a size like 500kB or 2MB")
    return int(match[1]) * _SIZE_BYTES[match[2]]


def _word(text: str, kind: FaultKind, value: str) -> str:
    if value not in kind.words:
        near = get_close_matches(value, kind.words, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"it is one of {', '.join(kind.words)}"
        raise ConfigError(f"fault {clip(text)}: {kind.name} is not {value!r}; {hint}")
    return value
