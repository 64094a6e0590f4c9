"""Lines of a tape, as a replay reads them."""

from typing import Any

LATER_NS = 40_000_000
"""Frames are received so long after the venue's time."""

Line = dict[str, Any]


def line(ms: float, frame: str, url: str, direction: str = "in") -> Line:
    """Make a line of a frame and the venue's time."""
    return {"recv_ns": int(ms * 1_000_000) + LATER_NS, "conn": "c1", "dir": direction, "url": url, "frame": frame}
