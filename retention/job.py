"""One run over one vault: list, plan, carry out over a few threads, and tidy up. The shell around it is `cli`."""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from l2_exporter.archive.layout import Vault
from retention.apply import Applier, Outcome
from retention.disk import Disk
from retention.errors import StoppedError, VaultError
from retention.inventory import Item, Leftover
from retention.listing import groups
from retention.lock import held
from retention.plan import QUIET_NS, Action, Kind, plan
from retention.policy import Policy
from retention.processes import Writers, is_other_alive
from retention.record import Record

Done = Callable[[Outcome], None]


@dataclass(slots=True)
class Plan:
    """What is to be done in a whole vault.

    Attributes:
        actions: in the order in which they are taken up.
        folders: date folders that may go when they are empty.
        skipped: what was passed over, and why.
        failed: folders that could not be read, and why.
    """

    actions: list[Action] = field(default_factory=list)
    folders: set[Path] = field(default_factory=set)
    skipped: list[tuple[Path, str]] = field(default_factory=list)
    failed: list[tuple[Path, str]] = field(default_factory=list)


@dataclass(slots=True)
class Result:
    """What became of a plan. `interrupted`: it was asked to stop before its end."""

    outcomes: list[Outcome] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    interrupted: bool = False


def make_plan(root: Path, policy: Policy, now_ns: int) -> Plan:
    """List a vault and hold it against the limits. Writes nothing."""
    made = Plan()
    for group in groups(root, is_other_alive):
        actions = list(plan(group, policy, now_ns))
        made.actions += actions
        made.skipped += group.skipped
        made.failed += group.failed
        old = {folder for folder, end_ns in group.folders if now_ns - end_ns > QUIET_NS}
        emptied = {path_of(action.subject).parent for action in actions if action.kind in (Kind.DELETE, Kind.SWEEP)}
        made.folders |= old & ({*group.empty} | emptied)
    order = list(Kind)
    made.actions.sort(key=lambda action: (order.index(action.kind), action.subject.end_ns))
    return made


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """Keep other retention jobs out.

    Raises:
        BusyError: one is at work.
        VaultError: the vault cannot be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(held(Vault(root).retention_lock()))
        except OSError as error:
            raise VaultError(f"{root} cannot be written: {error}") from error
        yield


class Job:
    """Carries out a plan.

    Args:
        threads: how many files are worked on at a time.
        stop: set to end the work soon; what was begun is taken back.
        done: told each outcome, in the thread that called `run`.
    """

    def __init__(self, root: Path, policy: Policy, now_ns: int, *, disk: Disk | None = None, threads: int = 1) -> None:
        self._root = root
        self._policy = policy
        self._now_ns = now_ns
        self._disk = disk or Disk()
        self._threads = threads
        self.stop = threading.Event()

    def run(self, made: Plan, done: Done = lambda _outcome: None) -> Result:
        """Carry out the plan. The lock must be held.

        Raises:
            VaultError: the record of earlier runs cannot be read.
        """
        result = Result()
        try:
            record = Record(self._disk, self._root, self._now_ns)
        except OSError as error:
            raise VaultError(f"the record of earlier runs cannot be read: {error}") from error
        with contextlib.closing(record):
            applier = Applier(self._disk, self._policy, record, Writers(self._root), self._tick)
            for outcome in self._outcomes(applier, made.actions):
                result.outcomes.append(outcome)
                done(outcome)
        result.interrupted = self.stop.is_set()
        if not result.interrupted:
            result.folders = [folder for folder in sorted(made.folders) if self._removed(folder)]
        return result

    def _outcomes(self, applier: Applier, actions: Iterable[Action]) -> Iterator[Outcome]:
        """Yield the outcomes in the order of the actions; none for those that a stop came before."""

        def work(action: Action) -> Outcome | None:
            try:
                self._tick()
                return applier.apply(action)
            except StoppedError:
                return None

        if self._threads == 1:
            yield from (outcome for outcome in map(work, actions) if outcome)
            return
        with ThreadPoolExecutor(self._threads, "retention") as pool:
            try:
                yield from (outcome for outcome in pool.map(work, actions) if outcome)
            except BaseException:
                self.stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _tick(self) -> None:
        if self.stop.is_set():
            raise StoppedError("stopped")

    def _removed(self, folder: Path) -> bool:
        """Remove a date folder; the system refuses one that is not empty."""
        try:
            self._disk.remove_folder(folder)
        except OSError:
            return False
        return True


def path_of(subject: Item | Leftover) -> Path:
    """Name the file an action is about."""
    if isinstance(subject, Leftover):
        return subject.file.path
    files = subject.files
    return files[0].path if files else subject.manifest.path if subject.manifest else subject.name
