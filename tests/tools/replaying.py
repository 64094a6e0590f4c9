"""Run `l2-exporter replay` the way a user does, and read back what it left in the vault."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from click.testing import CliRunner

from tests.reference.naive_okx import Outcome, utc_ns

Files = Mapping[str, Sequence[bytes]]


class Window(NamedTuple):
    """A declared loss; book times, `until_ns` None where it was never over."""

    inst: str
    reason: str
    since_ns: int | None
    until_ns: int | None

    def reaches(self, event_ns: int) -> bool:
        """Tell whether a moment lies in the window, both ends included."""
        since_ns = event_ns if self.since_ns is None else self.since_ns
        return since_ns <= event_ns and (self.until_ns is None or event_ns <= self.until_ns)

    def surrounds(self, event_ns: int) -> bool:
        """Tell whether a moment lies strictly inside the window."""
        return self.since_ns < event_ns and (self.until_ns is None or event_ns < self.until_ns)


def arguments(vault: Path, tapes: Sequence[Path], *options: str) -> list[str]:
    """Write the command line of one replay."""
    return ["replay", *map(str, tapes), "--vault", str(vault), "--venue", "okx", "--json", *options]


def run_replay(vault: Path, *tapes: Path, options: Sequence[str] = ()) -> None:
    """Replay tapes into a vault through the command line, in this process."""
    from l2_exporter.cli.main import cli  # here, so that this module can be read without the recorder

    result = CliRunner().invoke(cli, arguments(vault, tapes, *options))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output


def write_tape(path: Path, lines: Sequence[Mapping[str, Any]]) -> Path:
    """Write tape lines to a file."""
    text = "".join(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n" for line in lines)
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


def hour_files(vault: Path) -> dict[str, list[bytes]]:
    """Return every hour file with its lines, by its path below the vault."""
    paths = sorted(vault.glob("raw/**/*.jsonl"))
    return {path.relative_to(vault).as_posix(): path.read_bytes().splitlines(keepends=True) for path in paths}


def assert_same_lines(actual: Files, expected: Files) -> None:
    """Compare all lines of all hour files byte by byte; of one that differs, field by field to be readable."""
    _same("hour files", sorted(actual), sorted(expected))
    for path, lines in expected.items():
        for number, (got, wanted) in enumerate(zip(actual[path], lines, strict=False), start=1):
            if got == wanted:
                continue
            got_fields, wanted_fields = json.loads(got), json.loads(wanted)
            for name in wanted_fields:
                _same(f"{path}:{number} {name}", got_fields.get(name), wanted_fields[name])
            _same(f"{path}:{number} order of fields", list(got_fields), list(wanted_fields))
            _same(f"{path}:{number}", got, wanted)
        _same(f"{path} count of lines", len(actual[path]), len(lines))


def _same(where: str, got: object, wanted: object) -> None:
    assert got == wanted, f"{where}: expected {wanted!r:.500}, got {got!r:.500}"


def ledger(vault: Path) -> list[dict[str, Any]]:
    """Return the events of the ledger in their order."""
    paths = sorted(vault.glob("meta/*/events/*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text(encoding="utf-8").splitlines()]


def declared_windows(vault: Path) -> list[Window]:
    """Return the losses in the ledger: each `gap` with the `live` that ended it."""
    events = ledger(vault)
    ends = {event["id"]: event for event in events if event["kind"] == "live" and event["id"] is not None}
    windows = []
    for gap in events:
        if gap["kind"] == "gap":
            until = ends[gap["id"]]["until_event"] if gap["id"] in ends else None
            windows.append(Window(gap["instId"], gap["reason"], _ns(gap["since_event"]), _ns(until)))
    return windows


def expected_windows(outcome: Outcome) -> list[Window]:
    """Return the losses that the naive replay found."""
    return [
        Window(loss["inst"], loss["reason"], _ns(loss["since_event"]), _ns(loss["until_event"]))
        for loss in outcome.windows
    ]


def first_live(vault: Path) -> dict[str, int]:
    """Return the book time at which each instrument became live for the first time."""
    first: dict[str, int] = {}
    for event in ledger(vault):
        if event["kind"] == "live" and event["until_event"] is not None:
            first.setdefault(event["instId"], utc_ns(event["until_event"]))
    return first


def in_order(windows: Sequence[Window]) -> list[Window]:
    """Sort windows for a comparison that does not depend on the order of instruments."""
    return sorted(windows, key=lambda window: tuple(map(str, window)))


def _ns(text: str | None) -> int | None:
    return None if text is None else utc_ns(text)
