"""`patchbay load`: finds the load tests, which are in the repository and not in the package."""

import importlib.util
import sys
from pathlib import Path

import typer

from patchbay.core.errors import ConfigError, fail

_CHECKOUT = Path(__file__).parents[2]
_NEEDED = ("locust", "matplotlib")
_HELP = "Put load on a Patchbay, and judge what came of it."


def load_commands() -> typer.Typer:
    """The commands of the load tests, or, where they are missing, one that says what to install."""
    try:
        find_load_tests()
    except ConfigError as error:
        return _missing(error)
    commands: typer.Typer = importlib.import_module("loadtests.load.commands").app
    return commands


def find_load_tests() -> None:
    """Makes the load tests of this checkout importable.

    Raises ConfigError that says what to install where they, or what they need, are missing.
    """
    if importlib.util.find_spec("loadtests") is None and (_CHECKOUT / "loadtests").is_dir():
        sys.path.append(str(_CHECKOUT))
    if importlib.util.find_spec("loadtests") is None:
        raise ConfigError(
            "The load tests are not here: they come with Patchbay's repository, not with the package.",
            hint="Run `make setup` in a checkout, and `.venv/bin/patchbay load` there.",
        )
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"Load tests need {' and '.join(missing)}.",
            hint="Install them: `make setup` in a checkout, or `pip install 'patchbay[dev]'`.",
        )


def _missing(error: ConfigError) -> typer.Typer:
    app = typer.Typer(add_completion=False, help=_HELP)

    @app.callback(
        invoke_without_command=True, context_settings={"ignore_unknown_options": True, "allow_extra_args": True}
    )
    def say() -> None:
        raise typer.Exit(fail(error))

    return app
