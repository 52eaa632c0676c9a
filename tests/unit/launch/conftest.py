"""A project folder for tests of configurations: the working directory of a user who has set nothing."""

from pathlib import Path

import pytest


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("PATCHBAY_DATA_DIR", "PATCHBAY_REGISTRY", "PATCHBAY_ARTIFACTS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path
