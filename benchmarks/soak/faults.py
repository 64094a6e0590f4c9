"""What goes wrong at each venue during a soak: drawn once from a seed, written in the grammar of docs/SIMULATOR.md.

How much is a matter of the recorder's own budget: a book is given up for a quarter of an hour after 20 attempts without
ten quiet minutes between them, and a soak is to show recoveries, not that. So no book has more than a dozen losses.
"""

from collections.abc import Collection
from random import Random

FRAMES_PER_PUSH = {"kucoin": 18, "bitfinex": 10, "bitso": 4}
"""Venues that tell one change of a book in several frames; a chance is drawn for each of them."""
SHARED_LOSSES = ("bitfinex",)
"""Venues that number the frames of a connection: a frame that is missing is a loss of all its books."""

CHANCES = (
    ("drop", 0.0005),
    ("duplicate", 0.0005),
    ("reorder", 0.0002),
    ("corrupt", 0.0001),
    ("garbage", 0.0002),
    ("event_time_jump", 0.0001),
)
"""For each frame of a book, but not in the first minute: a channel's first one must be right (FORMAT, "Odd frames")."""
OF_REST = ("rest_429:0.05", "rest_5xx:0.05", "rest_html:0.03", "rest_hang:0.02", "drop_snapshot:0.02")
ENDS = (
    "close@{t}s",
    "close@{t}s",
    "close_mid_frame@{t}s",
    "notice:8s@{t}s",
    "half_open:50s@{t}s",
    "oversize:34MB@{t}s",  # a message may have 32 MiB
)
"""What ends connections."""
OTHERS = ("stall:4s@{t}s", "reset@{t}s", "crossed:3s@{t}s", "quiet:20s@{t}s")
ENDS_OF_A_VENUE = 7
OTHERS_OF_A_VENUE = 4
FROM_S = 60
CALM_S = 90
"""At the end, so that what was lost is found again before the run is over."""


def drawn(venue: str, seed: int, duration_s: int, lacks: Collection[str]) -> str:
    """Draw one venue's faults; what it cannot show (`lacks`) is left out."""
    random = Random(f"{seed}/{venue}")
    until_s = max(FROM_S + 1, duration_s - CALM_S)
    share = FRAMES_PER_PUSH.get(venue, 1) * (4 if venue in SHARED_LOSSES else 1)
    found = [f"{name}:{chance / share:.9f}@{FROM_S}s" for name, chance in CHANCES]
    found += OF_REST
    moments = random.choices(ENDS, k=ENDS_OF_A_VENUE) + random.choices(OTHERS, k=OTHERS_OF_A_VENUE)
    found += [fault.replace("{t}", str(random.randrange(FROM_S, until_s))) for fault in moments]
    found.append(f"maintenance:20s@{random.randrange(FROM_S, until_s)}s")
    return ",".join(fault for fault in found if fault.partition("@")[0].partition(":")[0] not in lacks)
