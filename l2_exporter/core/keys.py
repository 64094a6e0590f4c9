"""The user's keys of one venue, kept so that no text can hold them by accident."""

from collections.abc import Mapping


class Keys:
    """Parts by name, such as key, secret and passphrase.

    Neither `repr` nor any error of this class shows a part: what is logged, taped or reported cannot hold one unless
    it was asked for by name.
    """

    __slots__ = ("_parts",)

    def __init__(self, parts: Mapping[str, str]) -> None:
        self._parts = dict(parts)

    def __getitem__(self, name: str) -> str:
        return self._parts[name]

    def __repr__(self) -> str:
        return f"Keys({', '.join(self._parts)})"
