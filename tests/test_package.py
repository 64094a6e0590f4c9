"""The project as its users get it: a wheel that installs into an empty environment and works there."""

import json
import os
import re
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from l2_exporter.core.speedups import compiled
from tests.okx_frames import T0, snapshot

ROOT = Path(__file__).parents[1]


def run(*command: str | Path, cwd: Path) -> str:
    unoptimized = {**os.environ, "CFLAGS": "-O0"}  # the compiled part is built in a third of the time
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, cwd=cwd, env=unoptimized)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel from a copy of what belongs to the package, so that nothing is left in the checkout."""
    source = tmp_path_factory.mktemp("source")
    for path in [*ROOT.glob("l2_exporter/**/*"), *ROOT.glob("retention/**/*")]:
        if path.is_file() and "__pycache__" not in path.parts:
            target = source / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (source / name).write_bytes((ROOT / name).read_bytes())
    out = tmp_path_factory.mktemp("wheel")
    offline = ("--no-index", "--no-build-isolation", "--no-deps")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", *offline, "--wheel-dir", out, source, cwd=out)
    return next(out.glob("*.whl"))


def test_wheel_holds_both_packages_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"l2_exporter", "retention", next(top for top in tops if top.endswith(".dist-info"))}
    assert {"l2_exporter/py.typed", "retention/py.typed", "l2_exporter/core/_compiled.pyi"} <= set(names)
    built = [name for name in names if re.fullmatch(r"l2_exporter/core/_compiled\..*(so|pyd)", name)]
    assert len(built) == (compiled is not None)
    assert any(name.endswith("licenses/LICENSE") for name in names)


def closure(name: str) -> set[str]:
    """List a package and all it requires, by the metadata of the environment the tests run in."""
    names, waiting = set[str](), [name]
    while waiting:
        canonical = re.split(r"[^A-Za-z0-9._-]", waiting.pop())[0].lower().replace("_", "-")
        if canonical not in names:
            names.add(canonical)
            required = metadata.distribution(canonical).requires or []
            waiting += [requirement for requirement in required if "extra ==" not in requirement]
    return names


def copy_package(name: str, site: Path) -> None:
    """Copy an installed package into another environment, as pip would install it without a network."""
    for file in metadata.distribution(name).files or []:
        source = Path(str(file.locate()))
        if ".." not in file.parts and source.is_file() and source.suffix != ".pyc":
            target = site / str(file)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())


def test_wheel_works_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "env", cwd=tmp_path)
    binaries = tmp_path / "env" / ("Scripts" if sys.platform == "win32" else "bin")
    site = Path(
        run(binaries / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip()
    )
    for name in closure("l2-exporter") - {"l2-exporter"}:
        copy_package(name, site)
    run(binaries / "python", "-m", "pip", "install", "--quiet", "--no-index", wheel, cwd=tmp_path)
    tape = tmp_path / "tape.jsonl"
    url = "wss://ws.okx.com:8443/ws/v5/public"
    tape.write_text(json.dumps({"dir": "in", "url": url, "frame": snapshot(T0, 1)}) + "\n")
    run(binaries / "l2-exporter", "replay", tape, "--vault", tmp_path / "v", cwd=tmp_path)
    assert "0 defects" in run(binaries / "l2-exporter", "verify", tmp_path / "v", cwd=tmp_path)
    assert "BTC-USDT-SWAP" in run(binaries / "l2-exporter", "show", "BTC-USDT-SWAP", "--vault", "v", cwd=tmp_path)
    version = run(
        binaries / "python", "-c", "import retention, l2_exporter; print(l2_exporter.__version__)", cwd=tmp_path
    )
    assert version.strip() == metadata.version("l2-exporter")
