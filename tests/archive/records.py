"""Lines of the retention job's record, written by hand after docs/RETENTION.md."""

import hashlib
import json
from pathlib import Path
from typing import Any

from tests.archive.samples import DATASET, DAY, INST, VENUE, Sample, encode, manifest

Line = dict[str, Any]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def told(action: str, data: bytes | None, suffix: str = "", *, hour: int = 15, **changes: object) -> Line:
    """Make the line about an hour whose plain bytes are `data`; None: only its manifest was there."""
    path = f"raw/{VENUE}/{DATASET}/{INST}/{DAY}/{hour:02d}.jsonl"
    stored = b"packed " + (data or b"") if suffix else data
    return {
        "format": 1,
        "at": f"{DAY}T23:00:00Z",
        "action": action,
        "what": "hour",
        "venue": VENUE,
        "dataset": DATASET,
        "inst": INST,
        "from": f"{DAY}T{hour:02d}:00:00Z",
        "until": f"{DAY}T{hour + 1:02d}:00:00Z",
        "reason": "hour ended 6 h 0 min ago, limit 6h",
        "path": path,
        "lines": 0 if data is None else data.count(b"\n"),
        "bytes": 0 if data is None else len(data),
        "sha256": None if data is None else digest(data),
        "stored_path": None if data is None else path + suffix,
        "stored_bytes": 0 if stored is None else len(stored),
        "stored_sha256": None if stored is None else digest(stored),
        "manifest_sha256": None,
        "manifest": None,
        **changes,
    }


def sealed(line: Line, seal: bytes) -> Line:
    """Give a line the manifest that stood beside its hour, given as that file's bytes."""
    return line | {"manifest_sha256": digest(seal), "manifest": json.loads(seal)}


def seal_of(data: bytes, found: list[Line], hour: int = 15, previous: str | None = None) -> bytes:
    """Write the manifest of an hour."""
    return encode([manifest(data, found, hour_utc=f"{DAY}T{hour:02d}:00:00.000Z", previous=previous)])


def record(sample: Sample, *lines: Line, day: str = DAY) -> Path:
    """Write a file of the record."""
    return sample.put(sample.vault.retention_file(day), encode(list(lines)))
