"""What earlier runs left: answers the core's questions about last lines and open gaps from the files."""

import contextlib

from l2_exporter.archive.disk import Disk
from l2_exporter.archive.hourfile import HourFiles, place_of_line, received_of_line, takes_lines
from l2_exporter.archive.layout import (
    HourPath,
    LayoutError,
    Vault,
    decode_inst,
    encode_inst,
    parse_hour_path,
    refuse_clashes,
)
from l2_exporter.archive.ledger import open_gaps
from l2_exporter.archive.leftover import Leftover
from l2_exporter.archive.read import last_line
from l2_exporter.archive.repair import repair_tail
from l2_exporter.archive.windows import AllWindows
from l2_exporter.core.errors import ArchiveError, ConfigError, VenueError
from l2_exporter.core.history import LastLine, OpenGap
from l2_exporter.core.records import BookSpec
from l2_exporter.core.sampling import Floor


class Past:
    """`core.history.History` over a vault. Of files it reads the end, and only of those it is asked for."""

    def __init__(
        self,
        disk: Disk,
        vault: Vault,
        venue: str,
        files: HourFiles,
        windows: AllWindows,
        left: Leftover,
        *,
        repeats: bool,
    ) -> None:
        """Look at nothing yet.

        Args:
            left: is told of files that may be unsynced.
            repeats: the run makes the lines of an earlier one again: what was declared without a line is no past.
        """
        self._repeats = repeats
        self._lives: dict[tuple[str, str], LastLine] = {}
        self._disk = disk
        self._vault = vault
        self._venue = venue
        self._files = files
        self._windows = windows
        self._left = left
        self._open_gaps: dict[tuple[str, str], list[OpenGap]] | None = None
        self._admitted: dict[str, list[str]] = {}

    def admit(self, spec: BookSpec) -> None:
        """Take note of a book that will be recorded.

        Raises:
            ConfigError: another instrument of the dataset differs in upper and lower case only.
            VenueError: its id can be no file name.
        """
        try:
            encode_inst(spec.inst)
        except LayoutError as error:
            raise VenueError(str(error)) from error
        admitted = self._admitted.get(spec.dataset)
        if admitted is None:
            admitted = self._admitted[spec.dataset] = self._stored_insts(spec)
        try:
            refuse_clashes([*admitted, spec.inst])
        except LayoutError as error:
            raise ConfigError(str(error)) from error
        admitted.append(spec.inst)

    def newest(self, spec: BookSpec) -> LastLine | None:
        """Return the newest line of a book, of whatever suffix its file has; a damaged file is passed over.

        The hour before it is made sound too: a loss of power just after it ended can have torn both. Both will be
        synced. A run that was killed before its first line has yet told when the book was live: what it lacks began
        there.
        """
        hours = self._hours_newest_first(spec)
        for number, hour_path in enumerate(hours):
            line = self._last_line(spec, hour_path)
            place = place_of_line(line)
            if line is not None and place is not None:
                for before in hours[number + 1 : number + 2]:
                    if before.suffix == ".jsonl":
                        self._last_line(spec, before)
                return LastLine(place[0], received_of_line(line))
        if self._repeats:
            return None
        self._read_ledger()
        return self._lives.get((spec.dataset, spec.inst))

    def floor(self, spec: BookSpec, hour: int) -> Floor | None:
        """Return the last line of one hour file that can be appended to."""
        try:
            return self._files.get(spec, hour).floor
        except OSError:
            # The writer meets the same error with the first line, and declares it there.
            return None

    def takes_lines(self, spec: BookSpec, hour: int) -> bool:
        """Tell whether an hour may still grow.

        One that the earlier run of a repeated one has sealed seems to: its lines are made as they were then, so that
        the marks of first lines stand where they stood, and the writer refuses them.
        """
        if self._repeats:
            return True
        try:
            return self._files.get(spec, hour).takes_lines
        except OSError:
            # The writer meets the same error with the line, and declares it there.
            return True

    def open_gaps(self, spec: BookSpec) -> list[OpenGap]:
        """Return the gaps of earlier runs whose end the ledger does not tell."""
        return self._read_ledger().get((spec.dataset, spec.inst), [])

    def _read_ledger(self) -> dict[tuple[str, str], list[OpenGap]]:
        if self._open_gaps is None:
            self._open_gaps = open_gaps(self._vault, self._venue, self._windows, self._lives)
        return self._open_gaps

    def _stored_insts(self, spec: BookSpec) -> list[str]:
        """List the instruments that a dataset holds already."""
        insts = []
        for folder in self._vault.inst_folder(spec.venue, spec.dataset, spec.inst).parent.glob("*"):
            with contextlib.suppress(LayoutError):
                insts.append(decode_inst(folder.name))
        return insts

    def _hours_newest_first(self, spec: BookSpec) -> list[HourPath]:
        folder = self._vault.inst_folder(spec.venue, spec.dataset, spec.inst)
        found = (parse_hour_path(path, self._vault.root) for path in folder.glob("*/*"))
        return sorted((hour for hour in found if hour is not None), key=lambda hour: hour.hour, reverse=True)

    def _last_line(self, spec: BookSpec, hour: HourPath) -> bytes | None:
        try:
            if hour.suffix == ".jsonl" and takes_lines(self._vault, spec, hour.hour):
                torn = self._vault.torn_file(spec.venue, spec.dataset, spec.inst, hour.hour)
                with contextlib.suppress(OSError):  # the writer meets the same error, and declares it there
                    line = repair_tail(self._disk, hour.path, torn).last_line
                    self._left.found(hour.path)
                    return line
            return last_line(hour.path)
        except (ArchiveError, OSError):
            # One corrupt file never stops a start; `verify` names it.
            return None
