"""The vault that examples and loaders run on."""

from pathlib import Path

import pytest

from tests.docs.page import SAMPLES
from tests.docs.vaults import build


@pytest.fixture(scope="module", params=[None, "gzip", "zstd"], ids=["as written", "after retention", "retention zstd"])
def vault(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Plain and compressed files side by side, as other programs may write them; or what the retention job left."""
    root = tmp_path_factory.mktemp("format")
    build(root, {name: code.encode() for name, code in SAMPLES.items()}, request.param)
    return root


@pytest.fixture
def here(vault: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(vault)
    return vault
