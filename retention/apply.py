"""One action carried out: proof first, record second, deletion last. Killed anywhere, the next run finishes.

Compressing: write `.tmp-*`, sync, read it back and compare, rename, sync the folder, record, delete the source. From
the rename on both files are there, which the plan of the next run sees and finishes. Deleting: read and compare,
record the tombstone, delete the hour and then its manifest; a manifest that is left alone is known by its tombstone.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from l2_exporter.archive import layout
from retention import codec
from retention.content import EMPTY_SHA256, Content, Gauge, Proof, Tick, blocks, mark_of, read_copy, read_proof
from retention.disk import Disk
from retention.errors import ProofError, RetentionError
from retention.inventory import Item, Leftover, Stored
from retention.manifest import Manifest, read_manifest
from retention.plan import Action, Kind
from retention.policy import Policy
from retention.processes import Writers
from retention.record import Entry, Record


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an action.

    Attributes:
        left: why nothing was deleted; None: it was done.
        freed: bytes there are less.
        wrote: bytes of the compressed file that was made.
    """

    action: Action
    left: str | None = None
    freed: int = 0
    wrote: int = 0


class Applier:
    """Carries out actions on one vault; several threads may share it.

    Args:
        tick: called once a block; raises to end the work.
    """

    def __init__(self, disk: Disk, policy: Policy, record: Record, writers: Writers, tick: Tick) -> None:
        self._disk = disk
        self._policy = policy
        self._record = record
        self._writers = writers
        self._tick = tick

    def apply(self, action: Action) -> Outcome:
        """Carry out one action. A file that resists is left as it is, and its outcome says why.

        Raises:
            StoppedError: the tick ended the work; what was begun is taken back.
        """
        subject = action.subject
        try:
            if isinstance(subject, Leftover):
                return self._sweep(action, subject)
            if action.kind is Kind.COMPRESS:
                return self._compress(action, subject)
            if action.kind is Kind.FINISH:
                return self._finish(action, subject)
            if action.kind is Kind.DELETE:
                return self._delete(action, subject)
        except ProofError as error:
            return Outcome(action, str(error))
        except OSError as error:
            return Outcome(action, _said(error))
        return Outcome(action, action.reason)

    def _sweep(self, action: Action, leftover: Leftover) -> Outcome:
        self._disk.remove(leftover.file.path)
        return Outcome(action, freed=leftover.file.size)

    def _compress(self, action: Action, item: Item) -> Outcome:
        source = _there(item.plain)
        self._refuse_writers(item, source)
        manifest = self._manifest(item)
        final = source.with_name(source.name + self._policy.codec.suffix)
        tmp = layout.temporary(final, os.getpid())
        with self._taken_back(tmp):
            plain = self._pack(source, tmp)
            packed = self._proved(plain, tmp, final, manifest)
            self._refuse_change(plain)
            self._refuse_existing(final)
            self._disk.rename(tmp, final)
        try:
            self._disk.sync_folder(final.parent)
            return self._replaced(action, item, plain, packed, manifest)
        except ProofError:  # the source goes on after all: what was made of it is no longer true
            self._disk.remove(final)
            raise

    def _finish(self, action: Action, item: Item) -> Outcome:
        """End what a run that was killed has begun, or take both files for what they are."""
        source = _there(item.plain)
        self._refuse_writers(item, source)
        manifest = self._manifest(item)
        plain = self._sound(source, manifest)
        path = item.packed[0].path
        packed = read_copy(self._disk, path, self._tick, path.suffix, plain.content)
        self._disk.sync_folder(source.parent)
        return self._replaced(action, item, plain, packed, manifest)

    def _replaced(self, action: Action, item: Item, plain: Proof, packed: Proof, manifest: Manifest | None) -> Outcome:
        """Delete a plain file whose compressed one is proved and safe.

        Raises:
            ProofError: the plain file has changed, and is still there.
        """
        self._refuse_change(plain)
        self._record.append(Entry("compressed", item, action.reason, packed, manifest))
        self._refuse_writers(item, plain.path)
        self._refuse_change(plain)
        self._disk.remove(plain.path)
        self._disk.sync_folder(plain.path.parent)
        return Outcome(action, freed=plain.size - packed.size, wrote=packed.size)

    def _delete(self, action: Action, item: Item) -> Outcome:
        manifest = self._manifest(item)
        if not item.files and manifest is not None:
            return self._delete_manifest(action, item, manifest)
        for one in item.files:
            self._refuse_writers(item, one.path)
        proofs = [self._sound(one.path, manifest) for one in item.files]
        for proof in proofs[1:]:
            _refuse_difference(proofs[0], proof)
        for proof in proofs:
            self._record.append(Entry("deleted", item, action.reason, proof, manifest))
        for proof in proofs:
            self._refuse_writers(item, proof.path)
            self._refuse_change(proof)
            self._disk.remove(proof.path)
        if manifest is not None:
            self._disk.remove(manifest.path)
        self._disk.sync_folder(item.name.parent)
        return Outcome(action, freed=item.size)

    def _delete_manifest(self, action: Action, item: Item, manifest: Manifest) -> Outcome:
        """Delete the manifest of an hour without lines, or of one whose file is deleted already."""
        if manifest.content == Content(0, EMPTY_SHA256, 0) and manifest.content.lines == 0:
            self._record.append(Entry("deleted", item, action.reason, None, manifest))
        elif not self._record.tombstone_of(item, manifest):
            raise ProofError(f"its manifest tells of {manifest.content.lines} lines, but there is no hour file")
        self._disk.remove(manifest.path)
        self._disk.sync_folder(item.name.parent)
        return Outcome(action, freed=item.size)

    def _pack(self, source: Path, tmp: Path) -> Proof:
        """Compress a file beside itself, durably, and tell what went in."""
        fd = self._disk.open_read(source)
        try:
            stat = self._disk.stat(fd)
            content, flaw = self._stream(fd, stat.st_size, tmp)
            if mark_of(self._disk.stat(fd)) != mark_of(stat) or content.size != stat.st_size:
                raise ProofError("it changed while it was compressed")
        finally:
            self._disk.close(fd)
        return Proof(source, content, content.size, content.sha256, mark_of(stat), flaw)

    def _stream(self, source_fd: int, size: int, tmp: Path) -> tuple[Content, str | None]:
        gauge = Gauge()
        packer = codec.packer(self._policy.codec, self._policy.level, size)
        fd = self._disk.create(tmp)
        try:
            left = size
            for block in blocks(self._disk, source_fd, self._tick):
                gauge.add(block)
                left -= len(block)
                if left < 0:
                    raise ProofError("it grew while it was compressed")
                self._disk.write(fd, packer.compress(block))
            if left:
                raise ProofError("it shrank while it was compressed")
            self._disk.write(fd, packer.flush())
            self._disk.fsync(fd)
        finally:
            self._disk.close(fd)
        return gauge.content(), gauge.flaw()

    def _proved(self, plain: Proof, tmp: Path, final: Path, manifest: Manifest | None) -> Proof:
        """Read back what was compressed and hold it against source and manifest."""
        _refuse_flaw(plain)
        if manifest is not None:
            manifest.check(plain.content)
        packed = read_copy(self._disk, tmp, self._tick, final.suffix, plain.content)
        return replace(packed, path=final)

    def _sound(self, path: Path, manifest: Manifest | None) -> Proof:
        """Read a file that is to go, and hold it against the manifest."""
        proof = read_proof(self._disk, path, self._tick)
        _refuse_flaw(proof)
        if manifest is not None:
            manifest.check(proof.content)
        return proof

    def _manifest(self, item: Item) -> Manifest | None:
        return read_manifest(self._disk, item.manifest.path) if item.manifest else None

    def _refuse_writers(self, item: Item, path: Path) -> None:
        if self._writers.is_writing(item.venue, self._disk.lstat(path), item.end_ns):
            raise ProofError("it is being written by the process that holds the venue's lock; left for the next run")

    def _refuse_change(self, proof: Proof) -> None:
        if mark_of(self._disk.lstat(proof.path)) != proof.mark:
            raise ProofError("it changed after it was read; left for the next run")

    def _refuse_existing(self, final: Path) -> None:
        """Never rename over a file that has appeared since the listing."""
        with contextlib.suppress(FileNotFoundError):
            self._disk.lstat(final)
            raise ProofError(f"{final.name} has appeared meanwhile; left for the next run")

    @contextlib.contextmanager
    def _taken_back(self, tmp: Path) -> Iterator[None]:
        """Remove the temporary file of a step that failed."""
        try:
            yield
        except (OSError, RetentionError):
            with contextlib.suppress(OSError):
                self._disk.remove(tmp)
            raise


def _there(stored: Stored | None) -> Path:
    if stored is None:
        raise ProofError("its plain file is gone")
    return stored.path


def _refuse_flaw(proof: Proof) -> None:
    if proof.flaw is not None:
        raise ProofError(proof.flaw)


def _refuse_difference(one: Proof, other: Proof) -> None:
    if one.content != other.content:
        raise ProofError(
            f"{one.path.name} holds {one.content.size} bytes with digest {one.content.sha256}, "
            f"{other.path.name} holds {other.content.size} with {other.content.sha256}"
        )


def _said(error: OSError) -> str:
    """Word an error of the system; on Windows a file that is in use is refused like this."""
    in_use = isinstance(error, PermissionError) and getattr(error, "winerror", None) is not None
    name = Path(str(error.filename)).name if error.filename else ""
    said = f"{name}: {error.strerror or error}" if name else f"{error.strerror or error}"
    return f"{said}; in use, left for the next run" if in_use else said
