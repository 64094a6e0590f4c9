"""Real exchange frames, kept beside the repository and never inside it."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1].parent / "shared" / "recordings"

OKX_V5 = (
    "okx/cryptofeed-20220227-books_l2_tbt.jsonl.gz",
    "okx/cryptofeed-20220513-books.jsonl.gz",
    "okx/cryptofeed-20230527-okcoin-books.jsonl.gz",
    "okx/tickvault-20260824-books-BTC-USDT.jsonl.gz",
)


def needs_recordings(test: Any) -> Any:
    """Mark a test that replays recordings; without them it is skipped, and says so."""
    reason = "no recordings: ../shared/recordings is not beside the repository"
    return pytest.mark.recordings(pytest.mark.skipif(not ROOT.is_dir(), reason=reason)(test))


def path_of(name: str) -> Path:
    """Return where a recording lies, `name` being its path below the recordings."""
    return ROOT / name


def load(name: str) -> list[dict[str, Any]]:
    """Return the tape lines of a recording in file order."""
    with gzip.open(path_of(name), "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]
