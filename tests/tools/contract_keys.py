"""The keys that simulated exchanges accept, and what is said to them signed as a session would sign it."""

from collections.abc import Mapping

from l2_exporter.core.keys import Keys
from l2_exporter.core.venue import Signs, Venue
from l2_exporter.simulator.dialects.coinbase_full import TEST_KEY, TEST_PASSPHRASE, TEST_SECRET

KEYS: Mapping[str, Keys] = {
    "coinbase": Keys({"key": TEST_KEY, "secret": TEST_SECRET, "passphrase": TEST_PASSPHRASE}),
}


def signed(venue: Venue, text: str, at_ns: int) -> str:
    """Add to a request what proves who makes it, where somebody has to; what is no request stays as it is."""
    if isinstance(venue, Signs) and text.startswith("{"):
        return venue.signed(text, KEYS[venue.name], at_ns)
    return text


def headers(venue: Venue, path: str, at_ns: int) -> Mapping[str, str]:
    """Make the headers of a request that prove who asks, where somebody has to."""
    return venue.headers(path, KEYS[venue.name], at_ns) if isinstance(venue, Signs) else {}
