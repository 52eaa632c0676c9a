"""The help of every command is whole: an example, each option explained, and nothing that a terminal would swallow."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from patchbay.command import build_app
from patchbay.core.errors import AdapterError, ConfigError, Conflict, NotFound, RegistryError
from patchbay.core.exit_codes import EXIT_CODES, fail


def commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, f"{path} {name}")


ALL = dict(commands(typer.main.get_command(build_app()), "patchbay"))
LEAVES = [path for path, command in ALL.items() if not hasattr(command, "commands")]


def test_all_commands_are_found() -> None:
    assert {"patchbay up", "patchbay canary start", "patchbay adapters push"} <= set(LEAVES)


@pytest.mark.parametrize("path", LEAVES)
def test_every_command_has_an_example(path: str) -> None:
    assert path in (ALL[path].help or "").partition("Example: ")[2]


@pytest.mark.parametrize("path", ALL)
def test_every_option_and_argument_is_explained(path: str) -> None:
    named = [parameter for parameter in ALL[path].params if not getattr(parameter, "hidden", False)]
    assert [parameter.name for parameter in named if not getattr(parameter, "help", None)] == []


@pytest.mark.parametrize("path", ALL)
def test_every_help_tells_the_exit_codes(path: str) -> None:
    assert "Exit codes: 0 " in " ".join(f"{ALL[path].help} {ALL[path].epilog}".split())


def test_every_exit_code_of_an_error_is_in_the_help_and_in_the_reference() -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "reference" / "exit-codes.md").read_text()
    errors = (ConfigError("x"), AdapterError("x"), NotFound("x"), Conflict("x"), RegistryError("x"))
    assert {fail(error) for error in errors} <= EXIT_CODES.keys()
    for code, meaning in EXIT_CODES.items():
        assert f"{code} {meaning}" in (ALL["patchbay adapters push"].epilog or "")
        assert f"| {code} | {meaning} |" in page


@pytest.mark.parametrize("path", ["patchbay up", "patchbay router", "patchbay config check", "patchbay doctor"])
def test_the_configuration_is_named_by_the_same_option_everywhere(path: str) -> None:
    [option] = [parameter for parameter in ALL[path].params if parameter.name == "config"]
    assert set(option.opts) == {"--config", "-c"}


@pytest.mark.parametrize("path", ALL)
def test_no_help_has_square_brackets_which_terminals_take_for_markup(path: str) -> None:
    texts = [ALL[path].help or "", *(getattr(parameter, "help", None) or "" for parameter in ALL[path].params)]
    assert [text for text in texts if "[" in text] == []
