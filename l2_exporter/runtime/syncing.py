"""Syncing files to disk off the event loop, so that a slow disk delays no input."""

from concurrent.futures import Future, ThreadPoolExecutor

from l2_exporter.archive.writer import Archive, SyncJob


class Syncer:
    """One worker thread that syncs what is due, one job at a time."""

    def __init__(self, archive: Archive, after_ns: int) -> None:
        self._archive = archive
        self._after_ns = after_ns
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fsync")
        self._running: tuple[SyncJob, Future[None]] | None = None
        self.last_error: str | None = None

    def ticked(self, elapsed_ns: int) -> None:
        """Begin what is due; what has failed is due again at once."""
        if self._running is not None:
            if not self._running[1].done():
                return
            self._finish()
        job = self._archive.sync_job(elapsed_ns, self._after_ns)
        if job is not None:
            self._running = (job, self._pool.submit(job.run))

    def close(self) -> None:
        """Wait for the job at hand; the archive syncs the rest when it is closed."""
        self._pool.shutdown(wait=True)
        if self._running is not None:
            self._finish()

    def _finish(self) -> None:
        assert self._running is not None
        job, future = self._running
        self._running = None
        error = future.exception()
        self.last_error = None if error is None else str(error)
        self._archive.synced(job, ok=error is None)
