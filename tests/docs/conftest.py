"""The vault that examples and loaders run on."""

from pathlib import Path

import pytest

from tests.docs.page import SAMPLES
from tests.docs.vaults import build


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("format")
    build(root, {name: code.encode() for name, code in SAMPLES.items()})
    return root


@pytest.fixture
def here(vault: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(vault)
    return vault
