"""Install the programs compared with, each into a place of its own below `.benchmarks/peers`."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parents[1] / ".benchmarks" / "peers"
PYTHON = FOLDER / "venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
NODE = FOLDER / "node"
REQUIREMENTS, PACKAGE = HERE / "requirements.txt", HERE / "package.json"


def missing() -> dict[str, str]:
    """Install what is not there yet; return why a place could not be made, by `python` and `node`."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    found = {"python": _python(), "node": _node()}
    return {place: why for place, why in found.items() if why is not None}


def versions() -> dict[str, str]:
    """Tell which version of each program is pinned."""
    rows = [row.partition("==") for row in REQUIREMENTS.read_text().splitlines()]
    pinned: dict[str, str] = json.loads(PACKAGE.read_text())["dependencies"]
    return {name: version for name, _, version in rows} | pinned


def _python() -> str | None:
    """Make the environment of the Python programs, unless it holds just what is pinned."""
    stamp = FOLDER / "venv" / "requirements.txt"
    if stamp.exists() and stamp.read_bytes() == REQUIREMENTS.read_bytes():
        return None
    why = _run([sys.executable, "-m", "venv", "--clear", str(FOLDER / "venv")])
    why = why or _run([str(PYTHON), "-m", "pip", "install", "--quiet", "--requirement", str(REQUIREMENTS)])
    if why is None:
        shutil.copyfile(REQUIREMENTS, stamp)
    return why


def _node() -> str | None:
    """Make the folder of the Node program, unless it holds just what is pinned."""
    stamp = NODE / "installed.json"
    if stamp.exists() and stamp.read_bytes() == PACKAGE.read_bytes():
        return None
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return "node and npm are not installed"
    NODE.mkdir(exist_ok=True)
    shutil.copyfile(PACKAGE, NODE / "package.json")
    why = _run([npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(NODE)])
    if why is None:
        shutil.copyfile(PACKAGE, stamp)
    return why


def _run(command: Sequence[str]) -> str | None:
    """Run a command; return the end of what it complained of, None if it succeeded."""
    done = subprocess.run([*command], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    said = (done.stderr or done.stdout).strip().splitlines()
    return said[-1][:200] if said else f"ended with {done.returncode}"


if __name__ == "__main__":
    failed = missing()
    for place, why in failed.items():
        print(f"{place}: not installed: {why}", file=sys.stderr)
    sys.exit(bool(failed))
