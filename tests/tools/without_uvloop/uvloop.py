"""Stands in the way of the real one, as if it were not installed."""

raise ImportError("not for this process")
