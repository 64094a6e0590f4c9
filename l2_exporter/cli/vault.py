"""Which vault a command works on when it is not told."""

from pathlib import Path

from l2_exporter.cli.settings import find_vault


def resolve_vault(option: str | Path | None) -> Path:
    """Return the absolute root of the vault: the option, else L2_VAULT, else l2.toml, else the default.

    The default is `vault` beside l2.toml, else beside pyproject.toml, else in the working folder. l2.toml is the file
    that L2_CONFIG names or the one in the working folder, and pyproject.toml counts there only: nothing is searched
    upwards, so that a vault never depends on a stranger's project above it.

    Raises:
        ConfigError: l2.toml cannot be read, or what names the vault cannot be a path.
    """
    return find_vault(option)
