"""The program `l2-retention`. This version holds no job yet; it says so instead of pretending."""

import sys

from l2_exporter.archive.layout import LINE_SUFFIXES


def main() -> None:
    """Say that nothing is compressed or deleted by this version, and fail, so that no scheduler believes otherwise."""
    endings = ", ".join(LINE_SUFFIXES)
    sys.exit(
        f"l2-retention: this version compresses and deletes nothing; the archive's files ({endings}) stay as they are"
    )
