"""Patchbay as people install it: its wheel in an environment of its own, beside another package called `adapters`."""

import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import distribution, requires
from pathlib import Path

from packaging.requirements import Requirement

from patchbay.core.distribution import DISTRIBUTION

ROOT = Path(__file__).parents[2]
_FOLDERS = ("src", "core", "registry", "guards", "adapters", "tuning", "router", "server", "launch")
_FILES = ("pyproject.toml", "README.md", "LICENSE")
# Names that this repository's folders have: none of these files may ever be read.
DECOYS = ("adapters", "core", "guards", "launch", "registry", "router", "server", "tuning")


@dataclass(frozen=True)
class Installed:
    """An environment with Patchbay's wheel in it. `folder`: where commands run, beside files named like our folders."""

    wheel: Path
    python: Path
    folder: Path

    def run(self, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """The environment's Python with `arguments`, in `folder`. `timeout`: seconds."""
        command = [str(self.python), *arguments]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=timeout, check=False)


def install(folder: Path, *, bare: bool = False) -> Installed:
    """Builds the wheel from a copy of the source, and installs it below `folder`. `bare`: without any extra."""
    wheel = _wheel(folder)
    venv.create(folder / "environment", with_pip=False)
    python = folder / "environment" / "bin" / "python"
    _pip("--python", str(python), "install", "--no-deps", "--no-index", str(wheel))
    packages = next((folder / "environment" / "lib").iterdir()) / "site-packages"
    # What Patchbay depends on is had from the environment of the tests.
    if bare:
        _link_needed(packages)
    else:
        (packages / "locked.pth").write_text(sysconfig.get_paths()["purelib"])
        _install_adapter_hub(python, packages)
    work = folder / "work"
    work.mkdir()
    for name in DECOYS:
        (work / f"{name}.py").write_text("raise SystemExit('not this one')\n")
    return Installed(wheel, python, work)


def _wheel(folder: Path) -> Path:
    source = folder / "source"
    for name in _FOLDERS:
        shutil.copytree(
            ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    for name in _FILES:
        shutil.copy(ROOT / name, source / name)
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source))
    return next(folder.glob("patchbay_serve-*.whl"))


def _link_needed(packages: Path) -> None:
    """Links what the distribution needs without extras, and what that needs, into the environment."""
    wanted, done = list(_needed(DISTRIBUTION, frozenset())), set[str]()
    while wanted:
        requirement = wanted.pop()
        if str(requirement) not in done:
            done.add(str(requirement))
            _link(requirement.name, packages)
            wanted += _needed(requirement.name, frozenset(requirement.extras))


def _needed(name: str, extras: frozenset[str]) -> Iterator[Requirement]:
    for requirement in map(Requirement, requires(name) or ()):
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": one}) for one in ("", *extras)):
            yield requirement


def _link(name: str, packages: Path) -> None:
    found = distribution(name)
    for top in {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}:
        if not (packages / top).exists():
            (packages / top).symlink_to(Path(str(found.locate_file(top))))


def _install_adapter_hub(python: Path, packages: Path) -> None:
    """AdapterHub's `adapters`, or where no index can be reached a package of that name."""
    try:
        _pip("--python", str(python), "install", "--no-deps", "adapters==1.3.0")
    except subprocess.CalledProcessError:
        (packages / "adapters").mkdir()
        (packages / "adapters" / "__init__.py").write_text('__version__ = "1.3.0"\n')


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", *arguments]
    subprocess.run(command, check=True, capture_output=True)
