"""Stands in the way of the compiled part, as if it had not been built: in PYTHONPATH, of a process and its children."""

import sys

sys.modules["l2_exporter.core._compiled"] = None  # type: ignore[assignment]
