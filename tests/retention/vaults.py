"""Small vaults for the retention job, and what must hold of them at any moment. Written apart from what is tested."""

import gzip
import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import zstandard

VENUE, DATASET, INST = "okx", "l2_perps", "BTC-USDT-SWAP"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def ns(moment: datetime) -> int:
    """Count nanoseconds since 1970."""
    return int(moment.timestamp()) * 1_000_000_000


def lines(seed: int, count: int = 40) -> bytes:
    """Make lines that are told apart by their seed."""
    return b"".join(
        json.dumps({"n": n, "seed": seed, "pad": hashlib.sha256(b"%d %d" % (seed, n)).hexdigest()}).encode() + b"\n"
        for n in range(count)
    )


def pack(data: bytes, suffix: str) -> bytes:
    """Compress as another program would."""
    return gzip.compress(data, mtime=0) if suffix == ".gz" else zstandard.compress(data)


def unpack(path: Path) -> bytes:
    """Read a file by the end of its name."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data)
    return zstandard.decompress(data) if path.suffix == ".zst" else data


class World:
    """One vault. Hours are named by how long before NOW they begin."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def hour(self, ago: int, suffix: str = ".jsonl", inst: str = INST, dataset: str = DATASET) -> Path:
        """Name a file of the hour that began so many hours before NOW."""
        start = NOW - ago * HOUR
        return self.root / "raw" / VENUE / dataset / inst / f"{start:%Y-%m-%d}" / f"{start:%H}{suffix}"

    def tape(self, ago: int, conn: str = "okx-1", suffix: str = ".jsonl") -> Path:
        """Name a tape."""
        start = NOW - ago * HOUR
        return self.root / "tape" / VENUE / f"{start:%Y-%m-%d}" / f"{start:%H}-{conn}-r1{suffix}"

    def ledger(self, days: int) -> Path:
        """Name a ledger file."""
        return self.root / "meta" / VENUE / "events" / f"{NOW - timedelta(days=days):%Y-%m-%d}.jsonl"

    def put(self, path: Path, data: bytes) -> Path:
        """Write a file and the folders above it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def seal(self, ago: int, data: bytes, **changes: Any) -> Path:
        """Write the manifest of an hour, as far as it matters here."""
        fields = {
            "format": 1,
            "inst": INST,
            "hour_utc": f"{NOW - ago * HOUR:%Y-%m-%dT%H:00:00Z}",
            "lines": data.count(b"\n"),
            "sha256": hashlib.sha256(data).hexdigest(),
            "bytes": len(data),
            "not_live_s": 14.4,
            "previous": None,
        }
        raw = json.dumps(fields | changes, separators=(",", ":")).encode() + b"\n"
        return self.put(self.hour(ago, ".manifest.json"), raw)

    def files(self) -> dict[str, bytes]:
        """Return all data files; what the job writes about itself, and the clock's part in it, is left out."""
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and not path.relative_to(self.root).is_relative_to("meta/retention")
        }

    def record(self) -> list[dict[str, Any]]:
        """Return every line of the job's record, in order."""
        files = sorted((self.root / "meta" / "retention").glob("*.jsonl"))
        return [json.loads(line) for path in files for line in path.read_bytes().splitlines()]

    def folders(self) -> set[str]:
        """Return the date folders."""
        return {path.relative_to(self.root).as_posix() for path in self.root.rglob("20*") if path.is_dir()}


class Mixed(World):
    """A vault in which everything is due that can be: what is where, what must remain, and what may go.

    Args:
        suffix: of the files that are compressed; one has the other suffix.
    """

    def __init__(self, root: Path, suffix: str = ".gz") -> None:
        super().__init__(root)
        self.suffix = suffix
        self.kept: dict[Path, bytes] = {}
        self.doomed: dict[Path, bytes] = {}

    def build(self) -> "Mixed":
        """Write it."""
        young, sealed, twice, foreign = lines(1), lines(2), lines(3), lines(4)
        old, old_plain, old_twice = lines(5), lines(6), lines(7)
        other = ".zst" if self.suffix == ".gz" else ".gz"
        self.kept = {
            self.put(self.hour(0), young): young,
            self.put(self.hour(8), sealed): sealed,
            self.put(self.hour(9), twice): twice,
            self.put(self.hour(10, f".jsonl{other}"), pack(foreign, other)): foreign,
            self.put(self.tape(9), lines(8)): lines(8),
            self.put(self.ledger(1), lines(9)): lines(9),
        }
        self.seal(8, sealed)
        self.put(self.hour(9, f".jsonl{self.suffix}"), pack(twice, self.suffix))
        self.doomed = {
            self.put(self.hour(200, f".jsonl{self.suffix}"), pack(old, self.suffix)).with_suffix(""): old,
            self.put(self.hour(201), old_plain): old_plain,
            self.put(self.hour(202), old_twice): old_twice,
            self.put(self.tape(200, suffix=f".jsonl{self.suffix}"), pack(lines(10), self.suffix)).with_suffix(
                ""
            ): lines(10),
            self.put(self.ledger(9), lines(11)): lines(11),
        }
        self.put(self.hour(202, f".jsonl{self.suffix}"), pack(old_twice, self.suffix))
        self.seal(200, old)
        self.seal(203, b"")
        self.put(self.hour(11).with_name(".tmp-01-999999999"), b"half")
        return self

    def check(self) -> None:
        """No hour is without a whole file, no whole-looking file is not whole, and nothing went without a tombstone."""
        buried = {(line["path"], line["sha256"]) for line in self.record_so_far() if line["action"] == "deleted"}
        for plain, data in {**self.kept, **self.doomed}.items():
            plain = plain.with_suffix("") if plain.suffix != ".jsonl" else plain
            there = [path for suffix in ("", ".gz", ".zst") if (path := Path(f"{plain}{suffix}")).exists()]
            assert all(unpack(path) == data for path in there), there
            name = plain.relative_to(self.root).as_posix()
            assert there or (plain in self.doomed and (name, hashlib.sha256(data).hexdigest()) in buried), name

    def record_so_far(self) -> list[dict[str, Any]]:
        """Return the whole lines of the record; the last one may be torn."""
        files = sorted((self.root / "meta" / "retention").glob("*.jsonl"))
        return [json.loads(line) for path in files for line in path.read_bytes().split(b"\n")[:-1]]
