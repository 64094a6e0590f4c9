"""`status`: exit code 0 only while a recorder runs and records."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from l2_exporter.cli.main import cli
from l2_exporter.cli.status import examine
from l2_exporter.core.timetext import NS_PER_S, utc_ns, utc_text

NOW_NS = utc_ns("2026-11-21T12:00:00.000000Z")


def ago(seconds: float) -> str:
    return utc_text(NOW_NS - int(seconds * NS_PER_S), 6)


def book(**changes: Any) -> dict[str, Any]:
    fields = {
        "id": "l2_perps/BTC-USDT-SWAP",
        "state": "live",
        "live_since_utc": ago(600),
        "last_event_utc": ago(1),
        "last_line_utc": ago(2),
        "lag_ms": 3,
        "messages": 100,
        "lines": 10,
        "losses": 0,
        "checksum": {"ok": 0, "mismatch": 0, "unchecked": 100},
    }
    return fields | changes


def status(*books: dict[str, Any], **changes: Any) -> dict[str, Any]:
    fields = {
        "format": 1,
        "pid": 1,
        "started_utc": ago(600),
        "written_utc": ago(1),
        "vault": "/v",
        "version": "0.1.0",
        "venue": "okx",
        "state": "live",
        "instruments": [*books] or [book()],
        "connections": [],
        "disk": {"free_bytes": 1, "hours_to_full": None},
        "sync_lag_s": 1.0,
        "books_suspended": 0,
        "inputs_waiting": 0,
    }
    return fields | changes


def problems(vault: Path, content: bytes) -> list[str]:
    path = vault / "meta" / "okx" / "status.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return examine(vault, 30, NOW_NS)[1]


LOST = {"state": "lost", "live_since_utc": None, "last_event_utc": None}


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        (status(), []),
        (status(written_utc=ago(29)), []),
        (status(written_utc=ago(31)), ["okx: nothing runs: the status is 31 s old, state live"]),
        (status(state="stopped"), ["okx: nothing runs: the recorder was stopped 1 s ago"]),
        (status(state="schema_break"), ["okx: schema_break"]),
        (status(state="failed"), ["okx: failed"]),
        (status(book(state="suspect"), state="suspect"), ["okx: suspect", "okx: l2_perps/BTC-USDT-SWAP is suspect"]),
        (status(book(**LOST), state="seeding"), []),
        (
            status(book(**LOST, last_line_utc=ago(31)), state="seeding"),
            [f"okx: l2_perps/BTC-USDT-SWAP is lost, and has no line since {ago(31)}"],
        ),
        (status(book(state="empty", last_line_utc=None), started_utc=ago(29), state="seeding"), []),
        (
            status(book(state="empty", last_line_utc=None), state="seeding"),
            [f"okx: l2_perps/BTC-USDT-SWAP is empty, and has no line since {ago(600)}"],
        ),
        (status(book(last_line_utc=ago(59))), []),
        (status(books_suspended=2), ["okx: the disk takes no lines of 2 books"]),
        (status(sync_lag_s=31.0), ["okx: the disk has not synced for 31 s"]),
    ],
)
def test_what_is_wrong(tmp_path: Path, found: dict[str, Any], wrong: list[str]) -> None:
    assert problems(tmp_path, json.dumps(found).encode()) == wrong


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"null", b"\xff", b'{"written_utc":1}', json.dumps(status())[:99]]
)
def test_a_status_that_is_none(tmp_path: Path, content: bytes | str) -> None:
    (wrong,) = problems(tmp_path, content if isinstance(content, bytes) else content.encode())
    assert wrong.startswith("okx: its status cannot be read: ")


@pytest.mark.parametrize("field", [*status()])
def test_a_status_without_one_of_its_fields_is_no_bug_of_ours(tmp_path: Path, field: str) -> None:
    found = status()
    del found[field]
    assert all(wrong.startswith("okx: ") for wrong in problems(tmp_path, json.dumps(found).encode()))


def test_exit_codes_and_json(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["status", "--vault", str(tmp_path)])
    assert (result.exit_code, "no recorder has left a status" in result.output) == (1, True)
    problems(tmp_path, json.dumps(status()).encode())
    result = CliRunner().invoke(cli, ["status", "--vault", str(tmp_path), "--json", "--max-age", "1e9"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"vault": str(tmp_path), "ok": True, "problems": [], "venues": [status()]}
    assert CliRunner().invoke(cli, ["status", "--vault", str(tmp_path), "--max-age", "nan"]).exit_code == 2
    assert CliRunner().invoke(cli, ["status", "--vault", ""]).exit_code == 2
