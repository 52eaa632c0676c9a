"""A project with a registry of its own, in which data sets are made."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from patchbay.command import build_app
from patchbay.core.paths import cache_dir
from patchbay.tuning.data.resolve import opened_data
from patchbay.tuning.data.store import DataSets

Run = Callable[..., Result]


@pytest.fixture(scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of this run, but for the compiled rules, which all runs share: they take long to make."""
    folder, compiled = tmp_path_factory.mktemp("caches"), cache_dir() / "guards"
    compiled.mkdir(parents=True, exist_ok=True)
    (folder / "patchbay").mkdir(mode=0o700)
    (folder / "patchbay" / "guards").symlink_to(compiled)
    return folder


@pytest.fixture
def project(tmp_path: Path, caches: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATCHBAY_DATA_DIR", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(caches))
    for name in ("PATCHBAY_REGISTRY", "PATCHBAY_ARTIFACTS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def run(project: Path) -> Run:
    app = build_app()

    def runs(*arguments: str, code: int = 0, answers: str = "") -> Result:
        done = CliRunner().invoke(app, ["data", *arguments], input=answers or None)
        assert done.exit_code == code, done.output
        return done

    return runs


@pytest.fixture
def said(run: Run) -> Callable[..., Any]:
    def says(*arguments: str, code: int = 0) -> Any:
        return json.loads(run(*arguments, "--json", code=code).stdout)

    return says


@pytest.fixture
def data(project: Path) -> Iterator[DataSets]:
    with opened_data() as opened:
        yield opened


def write_lines(path: Path, documents: Sequence[Mapping[str, Any] | str]) -> Path:
    lines = [one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in documents]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def pair(asked: str, answered: str, **marks: Any) -> dict[str, Any]:
    return {"prompt": asked, "completion": answered, **marks}
