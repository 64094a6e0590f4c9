"""A real recorder and the real job on one vault, days passing in seconds: no line is lost, no file fought over.

Recorder and job are processes of their own. Only time is ours: the exchange and the recorder live by a clock that jumps
half an hour at a time, the job is told it by --now. What is left in the end is held against a replay of the recorder's
tapes, which knows nothing of retention; and those tapes have been compressed by the job, too.
"""

import asyncio
import contextlib
import gzip
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from l2_exporter.simulator.exchange import Settings
from tests.retention.settime import SetTime, SetTimeExchange
from tests.retention.vaults import World, ns
from tests.tools.processes import PATIENCE_S, Process
from tests.tools.processes import run as exporter

INSTS = ("BTC-USDT-SWAP", "ETH-USDT-SWAP")
START = datetime(2031, 1, 30, 22, tzinfo=UTC)
"""Over the end of a month. Later than today, as a file's time of change is today's."""
STEP_S = 120
HALF = timedelta(minutes=30)
HOUR = timedelta(hours=1)
FAULTS = "drop@190m+5h/BTC-USDT-SWAP,drop@133m+5h/ETH-USDT-SWAP,reset@11h,close@850m"
"""None strikes at a full or half hour: the scene waits for what is pushed then."""
OPTIONS = ("--cadence", "600", "--depth", "5", "--tape")


class Scene:
    """A recorder at work, and the job run beside it."""

    def __init__(self, folder: Path, clock: SetTime, served: SetTimeExchange) -> None:
        self.world = World(folder / "vault")
        self.clock = clock
        (folder / "l2.toml").write_text("vault = 'vault'\n[retention]\ntape_after = 'never'\n")
        urls = ["--ws-url", f"okx={served.ws_url}", "--rest-url", f"okx={served.rest_url}"]
        insts = [part for inst in INSTS for part in ("-i", inst)]
        arguments = ["record", "--vault", str(self.world.root), *insts, *urls, *OPTIONS]
        self.recorder = Process(folder / "run", arguments, inject=clock.recorder_code)
        self._folder = folder

    def has_taped(self, moment: datetime) -> bool:
        """Tell whether all that was pushed until a moment has been processed: it stands on the tape then."""
        tapes = list(self.world.root.glob(f"tape/okx/{moment:%Y-%m-%d}/{moment:%H}-*.jsonl"))
        lines = [line for tape in tapes for line in tape.read_bytes().splitlines(keepends=True)]
        return {*INSTS} <= {inst for line in lines if (inst := _is_pushed(line, ns(moment)))}

    def retain(self, *options: str) -> dict[str, Any]:
        """Run the job, as of the scene's time."""
        now = datetime.fromtimestamp(self.clock.now_ns() // 10**9, UTC)
        arguments = ["run", "--config", str(self._folder / "l2.toml"), "--now", f"{now:%Y-%m-%dT%H:%M:%SZ}", "--json"]
        command = [sys.executable, "-m", "retention", *arguments, *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        told: dict[str, Any] = json.loads(done.stdout)
        assert done.returncode == (1 if told["left"] else 0), done.stderr
        return told

    def open_hours(self) -> set[Path]:
        """List the hour files that the recorder has open, by what the system says of its descriptors."""
        links = []
        for path in Path(f"/proc/{self.recorder.popen.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed since it was listed
                links.append(str(path.readlink()))
        assert not [link for link in links if "(deleted)" in link], "a file was deleted under the recorder"
        # A manifest is open for a moment, too, below a temporary name.
        return {
            Path(link) for link in links if link.startswith(str(self.world.root / "raw")) and link.endswith(".jsonl")
        }


def _is_pushed(line: bytes, at_ns: int) -> str | None:
    """Return the instrument of a push made at a moment or later, or of a book pushed whole since."""
    if b"seqId" not in line or not line.endswith(b"\n"):
        return None
    taped = json.loads(line)
    if taped["dir"] != "in":
        return None
    push = json.loads(taped["frame"])
    is_new = int(push["data"][0]["ts"]) * 10**6 >= at_ns or (push["action"] == "snapshot" and taped["recv_ns"] >= at_ns)
    return str(push["arg"]["instId"]) if is_new else None


async def until_taped(scene: Scene, moment: datetime) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not scene.has_taped(moment):
            assert scene.recorder.popen.poll() is None, scene.recorder.said
            await asyncio.sleep(0.01)


async def scenario(folder: Path, hours: int, compress: str, delete: str, held: Callable[[Scene], None]) -> Scene:
    """Record for so many hours; run the job in the middle of each, and now and then just when it turns."""
    options = ("--compress-after", compress, "--delete-after", delete)
    settings = Settings(seed=5, instruments=INSTS, interval_ns=STEP_S * 10**9, faults=FAULTS)
    with closing(SetTime(folder / "clock", ns(START))) as clock:
        served = SetTimeExchange(settings, speed=1000, start_ns=ns(START))
        served.clock = clock
        async with served:
            scene = Scene(folder, clock, served)
            try:
                await until_taped(scene, START)
                for step in range(1, 2 * hours + 1):
                    moment = START + step * HALF
                    clock.jump_to(ns(moment))
                    await until_taped(scene, moment)
                    if moment.minute or step % 12 == 0:
                        told = await asyncio.to_thread(scene.retain, *options)
                        held(scene)
                        _refuse_a_fight(scene, told, turning=not moment.minute)
                assert await asyncio.to_thread(scene.recorder.stop) == 0, scene.recorder.said
            finally:
                scene.recorder.kill()
    return scene


def _refuse_a_fight(scene: Scene, told: dict[str, Any], *, turning: bool) -> None:
    """In the middle of an hour nothing is left; when it turns, only what the recorder has open still."""
    left = {scene.world.root / one["path"]: one["reason"] for one in told["left"]}
    assert turning or not left, left
    assert left.keys() <= scene.open_hours()
    assert all("being written" in reason for reason in left.values())


def is_line_file(name: str) -> bool:
    return name.startswith("raw/") and ".jsonl" in name


def check_against_the_tapes(folder: Path, scene: Scene) -> dict[str, int]:
    """Hold each hour, or its tombstone, against a replay of the tapes; tell how many there are of each kind."""
    again = World(folder / "again")
    tapes = sorted(str(path) for path in scene.world.root.glob("tape/okx/*/*.jsonl*"))
    replayed = exporter("replay", *tapes, "--vault", str(again.root))
    assert replayed.returncode == 0, replayed.stderr
    expected = {name: data for name, data in again.files().items() if is_line_file(name)}
    stored = {
        name.removesuffix(".gz"): gzip.decompress(data) if name.endswith(".gz") else data
        for name, data in scene.world.files().items()
        if is_line_file(name)
    }
    buried = {line["path"]: line["sha256"] for line in scene.world.record() if line["action"] == "deleted"}
    tombs = {name: digest for name, digest in buried.items() if name.startswith("raw/")}
    assert stored.keys() | tombs.keys() == expected.keys()
    assert not stored.keys() & tombs.keys()
    assert stored == {name: expected[name] for name in stored}
    assert tombs == {name: hashlib.sha256(expected[name]).hexdigest() for name in tombs}
    packed = sum(1 for _ in scene.world.root.glob("raw/**/*.gz"))
    return {"deleted": len(tombs), "compressed": packed, "plain": len(stored) - packed, "tapes": len(tapes)}


def check_the_ledger(scene: Scene) -> None:
    """The faults did strike: there is something that retention could have torn apart."""
    done = exporter("verify", "--json", str(scene.world.root))
    assert json.loads(done.stdout)["defects"] == []
    files = sorted(scene.world.root.glob("meta/okx/events/*.jsonl"))
    ledger = [json.loads(line) for path in files for line in path.read_bytes().splitlines()]
    reasons = [line["reason"] for line in ledger if line["kind"] == "gap"]
    assert {"sequence", "disconnect"} <= set(reasons)


needs_proc = pytest.mark.skipif(
    not Path("/proc/self/fd").is_dir(), reason="open files of others are known from /proc only"
)


@needs_proc
def test_a_day_beside_a_recorder_loses_no_line(tmp_path: Path) -> None:
    held: set[Path] = set()
    scene = asyncio.run(scenario(tmp_path, 26, "1h", "9h", lambda scene: held.update(scene.open_hours())))
    counts = check_against_the_tapes(tmp_path, scene)
    check_the_ledger(scene)
    # Two books, from 30 January 22:00 on; the last run was on the 31st at 23:30. By then the hours until 14:00 were
    # 9 hours old, those until 22:00 one hour; the line of 1 February 00:00 came with the stop.
    assert counts == {"deleted": 32, "compressed": 16, "plain": 6, "tapes": counts["tapes"]}
    assert len(held) == 2 * 26
    names = [path.name for path in scene.world.root.glob("tape/okx/*/*")]
    assert sum(name.endswith(".gz") for name in names) > 20
    assert len(names) == counts["tapes"]


@needs_proc
@pytest.mark.soak
def test_a_week_beside_a_recorder_loses_no_line(tmp_path: Path) -> None:
    scene = asyncio.run(scenario(tmp_path, 170, "6h", "5d", lambda scene: None))
    counts = check_against_the_tapes(tmp_path, scene)
    check_the_ledger(scene)
    # The last run was on 6 February at 23:30. What had ended by the 1st, 23:00, was five days old; what had ended by
    # 17:00 six hours.
    assert (counts["deleted"], counts["compressed"], counts["plain"]) == (2 * 49, 2 * 114, 2 * 8)
