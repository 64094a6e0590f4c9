"""Kinds of option that several commands have: what click's own ones let through would do harm."""

import math
import os
from pathlib import Path
from typing import Any

import click


class Seconds(click.FloatRange):
    """A finite number of seconds: `nan` compares with nothing, so no limit would refuse it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it."""
        seconds = float(super().convert(value, param, ctx))
        if not math.isfinite(seconds):
            self.fail(f"{value!r} is no number of seconds", param, ctx)
        return seconds


class VaultFolder(click.Path):
    """A vault that may have to be made yet. An empty text, a script's unset variable, is not the working folder."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, file_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Read it."""
        if value == "":
            self.fail("it is empty; name a folder", param, ctx)
        return Path(os.fsdecode(super().convert(value, param, ctx)))
