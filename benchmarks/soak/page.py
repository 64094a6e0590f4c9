"""docs/SOAK.md, made of the two results: the soak over sockets, and the day in minutes."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import median
from textwrap import wrap
from typing import Any

Json = Mapping[str, Any]
NOISE = 0.05
"""Of the memory in the second third (the second hour): more is growth."""
NOISE_MIB = 4.0
LAG_NOISE_S = 1.0
FIRST_THIRD, LAST_THIRD = 1 / 3, 2 / 3
ROWS = 19
"""Of the table of samples."""
SHOWN = 10
WIDTH = 120


def thirds(samples: Sequence[Json], name: str) -> tuple[float, float, float]:
    """Return the medians of one figure in each third of a run."""
    count = len(samples)
    cuts = (0, round(count * FIRST_THIRD), round(count * LAST_THIRD), count)
    parts = [samples[begin:end] for begin, end in pairwise(cuts)]
    first, second, third = (median(sample[name] for sample in part) for part in parts)
    return first, second, third


def is_flat(before: float, after: float) -> bool:
    """Tell whether memory has not grown, within noise."""
    return after - before <= max(NOISE * before, NOISE_MIB)


def soak_checks(soak: Json) -> list[tuple[str, str, bool]]:
    """List what a soak must show, as (what, found, whether it does)."""
    samples, found = soak["samples"], soak["judgement"]
    rss, age = thirds(samples, "rss_mib"), thirds(samples, "age_s")
    received, parts = sum(found["received"].values()), sum(found["outcomes"].values())
    waiting = max(sample["waiting"] for sample in samples)
    unbalanced = len(found["unbalanced"])
    return [
        (
            "memory of the last third within noise of the second",
            f"{rss[1]:.1f} MiB, {rss[2]:.1f} MiB",
            is_flat(rss[1], rss[2]),
        ),
        ("lag does not grow", f"{age[1]:.1f} s, {age[2]:.1f} s", age[2] - age[1] <= LAG_NOISE_S),
        ("inputs that waited, at most", f"{waiting}", waiting < 1000),
        ("the recorder stopped with", f"exit code {soak['exit_code']}", soak["exit_code"] == 0),
        ("`verify`", soak["verified"][0], soak["verified"][1] == 0),
        ("messages are the sum of their outcomes, all books", f"{received:,} = {parts:,}", received == parts),
        ("... for each book, and each hour that was sealed", f"{unbalanced} are not", not found["unbalanced"]),
        ("hours that were sealed", f"{found['sealed']}", found["sealed"] > 0),
        ("lost updates that no declared loss holds", f"{len(found['undeclared'])}", not found["undeclared"]),
        ("declared losses that no fault explains", f"{len(found['uncaused'])}", not found["uncaused"]),
    ]


def day_checks(day: Json) -> list[tuple[str, str, bool]]:
    """List what a day must show, as (what, found, whether it does)."""
    rss, (live, books) = day["rss_mib"], day["books"]
    return [
        (
            f"memory at hour {len(rss)} within noise of hour 2",
            f"{rss[1]:.1f} MiB, {rss[-1]:.1f} MiB",
            is_flat(rss[1], rss[-1]),
        ),
        ("`verify`", f"{day['defects']} defects", day["defects"] == 0),
        ("books that are live at the end", f"{live} of {books}", live == books),
        ("hours that retention deleted", f"{day['deleted']}", day["deleted"] > 0),
    ]


def page(soak: Json, day: Json | None) -> str:
    """Write the page."""
    lines = [*_head(soak), *_soak(soak), *(_day(day) if day is not None else [])]
    return "\n".join(lines) + "\n"


def _verdict(checks: Sequence[tuple[str, str, bool]]) -> str:
    failed = [what for what, _, holds in checks if not holds]
    return "**Verdict: all of it holds.**" if not failed else f"**Verdict: does not hold: {'; '.join(failed)}.**"


def _head(soak: Json) -> Iterator[str]:
    plan = soak["plan"]
    yield "# Soak"
    yield ""
    yield "Written by `make soak` (`python -m benchmarks.soak`); do not edit it. What is measured how stands in"
    yield "`benchmarks/soak`: how faults are drawn in `faults`, how losses and faults are held together in `judging`."
    yield ""
    yield "## All venues over sockets"
    yield ""
    minutes, venues = plan["duration_s"] // 60, len(plan["venues"])
    yield from _paragraph(
        f"{_moment(soak)}, {minutes} minutes; {soak['about']}.",
        f"One `l2-exporter record` process for all {venues} venues, {plan['instruments']} instruments each, against",
        "simulated exchanges in one other process; no tape, depth 400,",
        f"cadence {plan['cadence_s']:g} s. Each book moves every {plan['interval_ms']} ms, slower than a real one, so",
        f"that two shared CPUs keep up; both processes run with `nice -n {plan['niceness']}`. Seed {plan['seed']}.",
        "The exchanges' clocks are set so that an hour ends after a third of the run.",
    )
    yield ""


def _soak(soak: Json) -> Iterator[str]:
    checks = soak_checks(soak)
    yield _verdict(checks)
    yield ""
    yield from _checks(checks)
    yield ""
    found = soak["judgement"]
    sent, received = sum(found["sent"].values()), sum(found["received"].values())
    seconds, cpu = soak["samples"][-1]["at_s"], soak["samples"][-1]["cpu_s"]
    yield from _paragraph(
        f"The recorder used {100 * cpu / seconds:.0f} % of a CPU and wrote {sum(found['lines'].values()):,} lines,",
        f"{soak['line_bytes'] / 1e6:,.0f} MB. The exchanges put {sent:,} messages on connections;",
        f"{sent - received:,} of them were under way on a connection that broke, damaged beyond recognition, or too",
        "long.",
    )
    for name, what in (("undeclared", "Not declared"), ("uncaused", "Without a fault"), ("unended", "Not over yet")):
        if found[name]:
            yield ""
            yield f"{what} ({len(found[name])}), the first ones:"
            yield ""
            yield from (f"- {_told(entry)}" for entry in found[name][:SHOWN])
    yield ""
    yield from _samples(soak["samples"])
    yield ""
    yield from _venues(soak)


def _told(entry: Json) -> str:
    if "fault" in entry:
        return f"{entry['venue']} {entry['inst']}: {entry['fault']} at {entry['at']}"
    return f"{entry['venue']} {entry['inst']}: {entry['reason']}, declared {entry['at'][:19]}"


def _checks(checks: Sequence[tuple[str, str, bool]]) -> Iterator[str]:
    yield "| what must hold | found | |"
    yield "| --- | --- | --- |"
    yield from (f"| {what} | {found} | {'yes' if holds else '**no**'} |" for what, found, holds in checks)


def _samples(samples: Sequence[Json]) -> Iterator[str]:
    yield from _paragraph(
        "Samples are taken every 10 s; some of them. Age: now minus `received_utc` of the newest line, median of the",
        "live books (a line stands for 5 s and waits 1 s more). Lag: receive minus event time of the last update,",
        "median.",
    )
    yield ""
    yield "| s | memory MiB | age s | oldest s | lag ms | waiting | files | threads | live | messages |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    step = max(1, round(len(samples) / ROWS))
    for one in [*samples[step - 1 : -1 : step], samples[-1]]:
        figures = (
            f"{one['at_s']:.0f}",
            f"{one['rss_mib']:.1f}",
            f"{one['age_s']:.1f}",
            f"{one['oldest_s']:.1f}",
            f"{one['lag_ms']:.0f}",
            *(str(one[name]) for name in ("waiting", "files", "threads")),
            f"{one['live']}/{one['books']}",
            f"{one['messages']:,}",
        )
        yield f"| {' | '.join(figures)} |"


def _venues(soak: Json) -> Iterator[str]:
    found = soak["judgement"]
    yield from _paragraph(
        "Faults put in, and losses declared. A fault of a connection (close, half_open, stall) is a loss of each of",
        "its books; `swallowed` are updates that a dead connection took with it.",
    )
    yield ""
    yield "| venue | received | lines | faults | losses |"
    yield "| --- | --- | --- | --- | --- |"
    for venue in soak["plan"]["venues"]:
        faults, losses = found["faults"].get(venue, {}), found["losses"].get(venue, {})
        yield (
            f"| {venue} | {found['received'][venue]:,} | {found['lines'][venue]:,} "
            f"| {_counts(faults)} | {_counts(losses)} |"
        )


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{word} {count:,}" for word, count in sorted(counts.items()))


def _day(day: Json) -> Iterator[str]:
    plan, checks = day["plan"], day_checks(day)
    yield ""
    yield "## A day in minutes"
    yield ""
    yield from _paragraph(
        f"{_moment(day)}; {day['about']}.",
        f"{plan['hours']} hours of {', '.join(plan['venues'])}, {plan['instruments']} instruments each, in memory by a",
        f"clock that is told, in {day['took_s']:.0f} s: exchanges, feeds, archives and the thread that syncs and seals",
        f"are the real ones, an update and a line every {plan['step_s']} s, {plan['depth']} levels, with faults.",
        "`l2-retention run` beside it every hour:",
        f"compressed after {plan['compress_after']}, deleted after {plan['delete_after']}.",
    )
    yield ""
    yield _verdict(checks)
    yield ""
    yield from _checks(checks)
    yield ""
    yield f"{day['lines']:,} lines, {day['losses']:,} losses. Memory at the end of each hour, the exchanges' included:"
    yield ""
    numbers = range(1, len(day["rss_mib"]) + 1)
    yield "| hour | " + " | ".join(map(str, numbers)) + " |"
    yield "| --- |" + " --- |" * len(numbers)
    yield "| MiB | " + " | ".join(f"{one:.1f}" for one in day["rss_mib"]) + " |"


def _paragraph(*parts: str) -> list[str]:
    return wrap(" ".join(parts), WIDTH, break_long_words=False, break_on_hyphens=False)


def _moment(result: Json) -> str:
    return f"{result['began'][:16].replace(' ', 'T')}Z"
