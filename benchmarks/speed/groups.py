"""What is measured: each group is a table of figures from one run, and what was aimed at."""

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.peers import install
from benchmarks.speed.live import live
from benchmarks.speed.measuring import ROOT, Case, Figure, compared, times
from benchmarks.speed.memory import memory
from benchmarks.speed.reading import reading
from benchmarks.speed.saturated import BOOKS, saturated
from benchmarks.speed.tables import Goal, Table
from benchmarks.streams.store import WORK, Stream, makers, stream

FLOOR, DECODED, RECORDS, LINES = "`orjson.loads` alone", "the venue's events", "records, dropped", "**frame to line**"
BY_PYTHON = "frame to line, without the compiled part"
UNCHECKED = "frame to line, the same frames without checksums"
PARTS = (DECODED, RECORDS, BY_PYTHON, UNCHECKED)
WITHOUT_COMPILED = ROOT / "tests" / "tools" / "without_compiled"
REPLAY = "`l2-exporter replay`, whole process"
STAGES = {FLOOR: "loads", DECODED: "decode", RECORDS: "feed", LINES: "line"}
CRYPTOFEED, CCXT, TARDIS = (f"{name} {install.versions()[name]}" for name in ("cryptofeed", "ccxt", "tardis-dev"))
PYTHON_PEERS = {
    "ccxt": f"{CCXT}, its pro handler",
    "cryptofeed": f"{CRYPTOFEED}, checksum off",
    "cryptofeed-checked": f"{CRYPTOFEED}, checksum on",
    "cryptofeed-backend": f"{CRYPTOFEED}, checksum on, its BackendBookCallback",
}
ORDER_PEERS = {"cryptofeed-orders": f"{CRYPTOFEED}, its book of orders, no checksum"}
NODE_PEERS = {
    "parse": "`JSON.parse` of node alone",
    "tardis-book": f"{TARDIS}, its OrderBook",
    "tardis-snapshots": f"{TARDIS}, its computeBookSnapshots",
}
IN_PYTHON = PYTHON_PEERS | ORDER_PEERS
CHECKED = ("cryptofeed-checked", "cryptofeed-backend")


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and beside whom.

    Attributes:
        frames: of a light stream; heavy ones are shorter, recordings as long as they are.
        seconds: that a live load is measured for.
        peers: None: not to be compared with; else why which of them are not there, by place.
    """

    rounds: int
    frames: int
    seconds: float
    peers: Mapping[str, str] | None


def product(stage: str, made: Stream) -> Case:
    """Run the product as far as a stage says."""
    command = [sys.executable, "-m", "benchmarks.speed.product", STAGES[stage], str(made.path)]
    return Case(stage, [*command, "--venue", made.venue, "--skip", str(made.skip)])


def replay(made: Stream) -> Case:
    """Run the command `replay` from start to end."""
    vault = WORK / "replayed"

    def clear() -> None:
        shutil.rmtree(vault, ignore_errors=True)

    command = [sys.executable, "-m", "l2_exporter", "replay", str(made.path), "--vault", str(vault)]
    return Case(REPLAY, [*command, "--venue", made.venue], made.count, clear)


def peers(made: Stream, plan: Plan, names: Sequence[str]) -> list[Case]:
    """Run the peers that are there."""
    if plan.peers is None:
        return []
    found = []
    for name in names:
        if name in IN_PYTHON and "python" not in plan.peers:
            command = [str(install.PYTHON), str(install.HERE / "python_peer.py"), name, str(made.path)]
            found.append(Case(IN_PYTHON[name], command))
        if name in NODE_PEERS and "node" not in plan.peers:
            command = [
                "node",
                "--expose-gc",
                str(install.HERE / "tardis_peer.mjs"),
                str(install.NODE),
                name,
                str(made.path),
            ]
            found.append(Case(NODE_PEERS[name], command))
    return found


def missing(plan: Plan) -> list[str]:
    """Say which peers could not be installed here."""
    return [
        f"Not compared with the {place} programs, which could not be installed: {why}."
        for place, why in (plan.peers or {}).items()
    ]


def same_books(found: Sequence[Figure]) -> None:
    """Make sure that all have kept the same book.

    Raises:
        SystemExit: somebody has not.
    """
    best = {one.name: one.samples[-1]["best"] for one in found if one.samples[-1].get("best") is not None}
    if len({tuple(prices) for prices in best.values()}) != 1:
        raise SystemExit(f"not all have kept the same book: {best}")


def okx(plan: Plan, name: str) -> Table:
    """Measure OKX's books from frame to line."""
    made = stream(name, plan.frames)
    unsummed = name.endswith("-unsummed")
    names = [peer for peer in (*NODE_PEERS, *PYTHON_PEERS) if not (unsummed and peer in CHECKED)]
    own = [product(stage, made) for stage in STAGES]
    command = product(LINES, made).command
    own.append(Case(BY_PYTHON, command, environment={"PYTHONPATH": str(WITHOUT_COMPILED)}))
    if not unsummed:
        own.append(Case(UNCHECKED, product(LINES, stream(f"{name}-unsummed", plan.frames)).command))
    whole = [] if plan.peers is None else [replay(made)]
    found = compared([*own, *whole, *peers(made, plan, names)], plan.rounds)
    same_books(found)
    _right(found, made, unsummed)
    sums = "checksum 0" if unsummed else "with checksums"
    title = f"OKX `books`, {made.what}, {sums}: {made.count:,} frames, {plan.rounds} rounds"
    limits = (3.4, 2.9) if unsummed else (4.5, 4.2)
    goals = [_goal(found, LINES, limits["heavy" in name]), *_share(found), *_against(found)]
    return Table(name, title, found, LINES, PARTS, goals, missing(plan))


def _right(found: Sequence[Figure], made: Stream, unsummed: bool) -> None:
    """Make sure that a run lost nothing, checked what there was to check, and always wrote the same bytes.

    Raises:
        SystemExit: it did not.
    """
    ours = {one.name: one.samples for one in found if one.name in (LINES, BY_PYTHON, UNCHECKED)}
    for name, samples in ours.items():
        checked = 0 if unsummed or name == UNCHECKED else made.count
        for sample in samples:
            if sample["checks"].get("ok", 0) != checked or "sequence" in sample["losses"] or not sample["lines"]:
                raise SystemExit(f"{made.name}, {name}: not recorded as it should be: {sample}")
            if name == BY_PYTHON and sample["compiled"]:
                raise SystemExit(f"{made.name}: the compiled part could not be kept away")
    if len({sample["digest"] for name in (LINES, BY_PYTHON) for sample in ours[name]}) != 1:
        raise SystemExit(f"{made.name}: not every run wrote the same")


def _goal(found: Sequence[Figure], name: str, limit: float) -> Goal:
    ratio = next(one.ratio for one in found if one.name == name)
    return Goal("frame to line, x `orjson.loads`", limit, ratio)


def _share(found: Sequence[Figure]) -> list[Goal]:
    """State what a checksum was to cost, where the same frames were measured without."""
    by_name = {one.name: one for one in found}
    if UNCHECKED not in by_name:
        return []
    return [Goal("with checksums, x without", 1.25, times(by_name[UNCHECKED], by_name[LINES]))]


def _against(found: Sequence[Figure]) -> list[Goal]:
    """State what was aimed at beside the peers that ran."""
    by_name = {one.name: one for one in found}
    aims = [
        (NODE_PEERS["tardis-book"], 1.4),
        (NODE_PEERS["tardis-snapshots"], 2.8),
        (PYTHON_PEERS["ccxt"], 2.0),
        (PYTHON_PEERS["cryptofeed"], 2.7),
        (PYTHON_PEERS["cryptofeed-checked"], 5.5),
    ]
    return [
        Goal(f"frames/s beside {name}", limit, times(by_name[LINES], by_name[name]), least=True, unit="x")
        for name, limit in aims
        if name in by_name
    ]


def binance(plan: Plan) -> Table:
    """Measure the full depth of Binance."""
    made = stream("binance", plan.frames)
    own = [product(stage, made) for stage in STAGES]
    names = ("parse", "tardis-book", "tardis-snapshots", "ccxt", "cryptofeed")
    found = compared([*own, *peers(made, plan, names)], plan.rounds)
    same_books(found)
    title = f"Binance `depth`, every level, {made.what}: {made.count:,} frames, {plan.rounds} rounds"
    goals = [_goal(found, LINES, 6.0), *_against(found)]
    return Table("binance", title, found, LINES, PARTS, goals, missing(plan))


def orders(plan: Plan, name: str) -> Table:
    """Measure single orders: an event a line, and the levels made of them."""
    if name not in makers():
        return Table(name, f"{name}: not measured, its recording is not here")
    made = stream(name, 5 * plan.frames)
    others = [*ORDER_PEERS] if name == "bitfinex" else []
    found = compared([*(product(stage, made) for stage in STAGES), *peers(made, plan, others)], plan.rounds)
    same_books(found)
    rss = max(sample["rss_bytes"] for sample in next(one for one in found if one.name == LINES).samples)
    what = {"coinbase": "Coinbase `full`", "bitfinex": "Bitfinex raw books of 25 levels"}[name]
    title = f"{what}, {made.what}: {made.count - made.skip:,} frames, {plan.rounds} rounds"
    title += f"; peak memory {rss / (1 << 20):.0f} MiB, the frames included"
    return Table(name, title, found, LINES, PARTS, missing=missing(plan) if others else [])


def books(plan: Plan) -> Table:
    """Measure what a frame costs when there are more books than one."""
    # A line of each of 500 books is the least that can be compared.
    frames = max(plan.frames, 10_000)
    streams = {
        "1 book": stream("okx-1", frames),
        "100 books": stream("okx-100", frames),
        "500 books": stream("okx-500", frames),
    }
    cases = [Case(f"{what} in turn", product(LINES, made).command) for what, made in streams.items()]
    found = compared([product(FLOOR, streams["1 book"]), *cases], plan.rounds)
    one, hundred, many = found[1:]
    title = f"OKX `books`, light, many books in turn: {frames:,} frames in all, {plan.rounds} rounds"
    goals = [
        Goal("100 books, x one book", 1.35, times(one, hundred)),
        Goal("500 books, x one book", 1.7, times(one, many)),
    ]
    return Table("books", title, found, one.name, goals=goals)


def socket(plan: Plan) -> Table:
    """Measure what is left of the rate in memory behind a socket."""
    made = stream(f"okx-{BOOKS}", max(plan.frames, 10_000))
    rounds = min(plan.rounds, 5)
    return saturated(compared([product(FLOOR, made), product(LINES, made)], rounds)[-1], rounds)


GROUPS: Mapping[str, Callable[[Plan], Table]] = {
    "okx-light": lambda plan: okx(plan, "okx-light"),
    "okx-light-unsummed": lambda plan: okx(plan, "okx-light-unsummed"),
    "okx-heavy": lambda plan: okx(plan, "okx-heavy"),
    "okx-heavy-unsummed": lambda plan: okx(plan, "okx-heavy-unsummed"),
    "binance": binance,
    "coinbase": lambda plan: orders(plan, "coinbase"),
    "bitfinex": lambda plan: orders(plan, "bitfinex"),
    "books": books,
    "memory": lambda _: memory(),
    "reading": lambda plan: reading(plan.frames, plan.rounds),
    "socket": socket,
    "live": lambda plan: live(500, plan.seconds),
}
