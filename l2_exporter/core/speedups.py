"""What is compiled of the core (`_compiled.pyx`), where it has been built.

It does what Python does elsewhere, and a frame takes half as long with it: tests hold each against the other. Without
it nothing is missing.
"""

from types import ModuleType

EDITION = 2
"""What this version asks of the compiled part; one that was left by another version is not used."""


def _built() -> ModuleType | None:
    try:
        from l2_exporter.core import _compiled
    except ImportError:
        return None
    return _compiled if getattr(_compiled, "EDITION", None) == EDITION else None


compiled = _built()
"""None: Python does it all."""
