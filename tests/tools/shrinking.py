"""Make a failing input small before anyone has to read it."""

from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def shrunk(items: Sequence[Item], fails: Callable[[Sequence[Item]], bool]) -> list[Item]:
    """Leave out what a failure does not need: runs of items, half of all at first, single ones in the end.

    `fails` is asked of ever shorter lists and must hold for `items`; no single item of the result can be spared.
    """
    kept = list(items)
    size = max(len(kept) // 2, 1)
    while True:
        start, before = 0, len(kept)
        while start < len(kept):
            shorter = kept[:start] + kept[start + size :]
            if shorter and fails(shorter):
                kept = shorter
            else:
                start += size
        if size == 1 and len(kept) == before:
            return kept
        size = max(size // 2, 1)
