"""Which book a user means: by venue and instrument, and by dataset where that is not enough."""

import difflib
from collections.abc import Collection
from pathlib import Path

import click

from l2_exporter.archive.find import ArchivedBook
from l2_exporter.archive.orders import Kind, kind_of
from l2_exporter.core.timetext import utc_ns


def moment(_context: click.Context, _option: click.Parameter, text: str | None) -> int | None:
    """Read a time such as 2026-11-21T15:30:45Z as nanoseconds since 1970."""
    try:
        return None if text is None else utc_ns(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a UTC time such as 2026-11-21T15:30:45Z") from error


def choose(
    root: Path, held: Collection[ArchivedBook], inst: str, dataset: str | None, kinds: Collection[Kind]
) -> ArchivedBook:
    """Find the one book that a user means, among the datasets of these kinds.

    Raises:
        click.UsageError: there is none, or more than one; it lists those that are like it.
    """
    there = [book for book in held if inst in (book.inst, book.name)]
    named = [book for book in there if kind_of(book.dataset) in kinds]
    matches = [book for book in named if dataset in (None, book.dataset)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise click.UsageError(f"{inst} is more than one book; name it in full, with --dataset:\n{listed(matches)}")
    if named:
        raise click.UsageError(f"{inst} is not in dataset {dataset}; it is in:\n{listed(named)}")
    if there:
        what = " or ".join(kind.value for kind in kinds)
        raise click.UsageError(f"{inst} is in no dataset of {what}; it is in:\n{listed(there)}")
    near = _near([book for book in held if kind_of(book.dataset) in kinds], inst)
    raise click.UsageError(f"{inst} is not in {root}{f'; near it are:{chr(10)}{listed(near)}' if near else '.'}")


def listed(found: Collection[ArchivedBook]) -> str:
    """Write books, a line each, as a user names them."""
    return "\n".join(f"  {book.name} --dataset {book.dataset}" for book in found)


def _near(held: list[ArchivedBook], inst: str) -> list[ArchivedBook]:
    """List the books whose name is most like what was asked for, or contains it."""
    wanted = inst.casefold()
    names = {name.casefold(): book for book in held for name in (book.inst, book.name)}
    close = difflib.get_close_matches(wanted, names, n=5)
    containing = [name for name in names if wanted in name]
    return list(dict.fromkeys(names[name] for name in (*close, *containing)))[:5]
