"""A venue whose frames are not what they were: the recorder ends at once and leaves what is needed to find out why."""

import base64
import json
from pathlib import Path

import pytest

from tests.tools.processes import exchange, ledger, recorder, run, status, verify


@pytest.mark.parametrize("at", ["0s", "1500ms"])
def test_schema_break_ends_the_process(tmp_path: Path, at: str) -> None:
    vault = tmp_path / "vault"
    with exchange(faults=f"schema_change@{at}") as served, recorder(vault, served, "--cadence", "0.05") as process:
        assert process.ended(10) == 3, process.said
        assert process.complaint == ""
        (line,) = [line for line in process.said.splitlines() if line.startswith("BUILD_FAIL")]
    assert line.startswith("BUILD_FAIL venue=okx channel=books missing=[")
    logged = (vault / "meta" / "logs" / "l2_exporter.log").read_text().splitlines()
    assert [entry.split(" ", 3)[3] for entry in logged if "BUILD_FAIL" in entry] == [line]
    events = ledger(vault)
    assert [entry["reason"] for entry in events if entry["kind"] == "stopped"] == ["schema_break"]
    (broken,) = [entry for entry in events if entry["kind"] == "schema_break"]
    (missing,) = broken["detail"]["missing"]
    assert line.endswith(f"missing=[{missing}]")
    kept = [json.loads(path.read_bytes()) for path in sorted((vault / "meta" / "okx" / "rejected").iterdir())]
    frame = json.loads(base64.b64decode(kept[0]["b64"]))
    assert frame["arg"]["channel"] == "books"
    assert missing not in frame["data"][0]
    found = status(vault)
    assert found is not None
    assert found["state"] == "schema_break"
    assert run("status", "--vault", str(vault)).returncode == 1
    assert verify(vault) == ""
