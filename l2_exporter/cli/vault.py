"""Which vault a command works on when it is not told."""

import os
from pathlib import Path

DEFAULT = "vault"


def resolve_vault(option: str | Path | None) -> Path:
    """Return the absolute root of the vault: the option, else L2_VAULT, else `vault` in the working folder.

    The default vault lies beside l2.toml, else beside pyproject.toml, else in the working folder. Only files of the
    working folder count (nothing is searched upwards), so that all three are the same place.
    """
    return Path(option or os.environ.get("L2_VAULT") or DEFAULT).absolute()
