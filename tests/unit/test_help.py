"""The help of every command is whole: an example, each option explained, and nothing that a terminal would swallow."""

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from patchbay.command import build_app


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
def test_no_help_has_square_brackets_which_terminals_take_for_markup(path: str) -> None:
    texts = [ALL[path].help or "", *(getattr(parameter, "help", None) or "" for parameter in ALL[path].params)]
    assert [text for text in texts if "[" in text] == []
