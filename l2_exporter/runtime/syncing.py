"""Syncing files to disk off the event loop, so that a slow disk delays no input."""

from concurrent.futures import Future, ThreadPoolExecutor

from l2_exporter.archive.patience import Patience
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
        self._patience = Patience()

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
        job = self._archive.sync_job(elapsed_ns, self._after_ns, self._of_tape(elapsed_ns))
        if job is not None:
            self._running = (job, self._pool.submit(job.run))

    def close(self) -> None:
        """Wait for the job at hand; the archive syncs the rest when it is closed."""
        self._pool.shutdown(wait=True)
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
