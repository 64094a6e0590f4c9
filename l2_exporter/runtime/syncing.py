"""Syncing files to disk off the event loop, so that a slow disk delays no input."""

from concurrent.futures import Future, ThreadPoolExecutor

from l2_exporter.archive.patience import Patience
from l2_exporter.archive.sealjob import Sealed
from l2_exporter.archive.syncjob import SyncJob
from l2_exporter.archive.tapefile import TapeFiles
from l2_exporter.archive.writer import Archive


class Syncer:
    """One worker thread that syncs what is due, one job at a time.

    Attributes:
        tape: synced beside the archive; None: there is none.
        last_error: why the last job failed; None: it did not.
    """

    def __init__(self, archive: Archive, after_ns: int) -> None:
        self.tape: TapeFiles | None = None
        self.last_error: OSError | None = None
        self._archive = archive
        self._after_ns = after_ns
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fsync")
        self._running: tuple[SyncJob, Future[None]] | None = None
        self._sealing: Future[list[Sealed]] | None = None
        self._patience = Patience()
        self._seal_patience = Patience()

    def ticked(self, elapsed_ns: int) -> None:
        """Begin what is due; what has failed is due again at once.

        Raises:
            ArchiveError: the disk has refused for a minute, for a reason that waiting does not mend.
        """
        if self._running is not None:
            if not self._running[1].done():
                return
            self._finish()
            if self.last_error is None:
                self._patience.done()
            else:
                self._patience.refused(self.last_error, elapsed_ns)
        self._seal(elapsed_ns)
        job = self._archive.sync_job(elapsed_ns, self._after_ns, self._of_tape(elapsed_ns))
        if job is not None:
            self._running = (job, self._pool.submit(job.run))

    def _seal(self, elapsed_ns: int) -> None:
        """Say which hours have been sealed, and let the worker seal the next; one that fails is tried again."""
        if self._sealing is not None:
            if not self._sealing.done():
                return
            sealing, self._sealing = self._sealing, None
            error = sealing.exception()
            if error is None:
                self._archive.sealed(sealing.result())
                self._seal_patience.done()
            elif isinstance(error, OSError):
                self._seal_patience.refused(error, elapsed_ns)
            else:
                raise error
        if self._archive.seals.waiting:
            self._sealing = self._pool.submit(self._archive.seals.run_next)

    def close(self) -> None:
        """Wait for the job at hand; the archive syncs the rest when it is closed. What is not sealed is so later."""
        self._pool.shutdown(wait=True)
        if self._sealing is not None and self._sealing.exception() is None:
            self._archive.sealed(self._sealing.result())
        if self._running is not None:
            self._finish()

    def _of_tape(self, elapsed_ns: int) -> list[int]:
        try:
            return [] if self.tape is None else self.tape.to_sync(elapsed_ns, self._after_ns)
        except OSError:  # no descriptor is left; it is tried again
            return []

    def _finish(self) -> None:
        assert self._running is not None
        job, future = self._running
        self._running = None
        error = future.exception()
        if error is not None and not isinstance(error, OSError):
            raise error
        self.last_error = error
        self._archive.synced(job, ok=error is None)
