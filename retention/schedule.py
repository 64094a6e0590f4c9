"""What a scheduler is to run for an archive: the recorder and the retention job. Each scheduler's own language is in
`schedule_windows`, `schedule_systemd` and `schedule_cron`; nothing here looks at the machine."""

import re
from dataclasses import dataclass
from enum import StrEnum

from retention.errors import ConfigError

_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What no definition can hold: control characters, what is not Unicode, and what XML 1.0 (section 2.2) leaves out."""


class Role(StrEnum):
    """One of the two programs of an archive."""

    RECORDER = "recorder"
    RETENTION = "retention"


@dataclass(frozen=True, slots=True)
class Document:
    """One file of a definition.

    Attributes:
        name: what to save it as, without folder.
        text: as it is printed.
        data: as it is written into a file.
        where: where to have the file for these commands, as a sentence that ends in a colon.
        commands: what makes the scheduler take it.
    """

    name: str
    text: str
    data: bytes
    where: str
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Setup:
    """How the two programs of an archive are started. All paths are absolute.

    Attributes:
        python: the interpreter that has both programs.
        folder: the working folder, where l2.toml is, or would be looked for.
        vault: what must be there before a start, whatever has named it.
        user: the account to run as.
        options: what both programs are told: --config, --vault, or neither where the working folder decides.

    Raises:
        ConfigError: a text that no definition can hold.
    """

    python: str
    folder: str
    vault: str
    user: str
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for what, text in (
            ("the path of Python", self.python),
            ("the working folder", self.folder),
            ("the vault", self.vault),
            ("the user", self.user),
            *(("the path", option) for option in self.options),
        ):
            if not text or _UNFIT.search(text):
                reason = "holds a character that no scheduler takes" if text else "is not known"
                raise ConfigError(f"{what} {ascii(text)[:200]} {reason}")

    def command(self, role: Role) -> tuple[str, ...]:
        """Return program and arguments of what is scheduled."""
        if role is Role.RECORDER:
            return (*self._module("l2_exporter"), "record", *self.options)
        return (*self._module("retention"), "run", *self.options)

    def status(self) -> tuple[str, ...]:
        """Return program and arguments of what ends with 0 if a healthy recorder runs."""
        return (*self._module("l2_exporter"), "status", "--vault", self.vault)

    def _module(self, name: str) -> tuple[str, ...]:
        # -P: no Python file that happens to lie in the working folder is taken for a library (python -m would).
        # -X utf8: what is printed does not depend on the locale, of which a scheduler's jobs have none.
        return (self.python, "-X", "utf8", "-P", "-m", name)
