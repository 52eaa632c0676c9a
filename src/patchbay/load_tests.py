"""The command `patchbay load`: finds the load tests, which are in the repository and not in the package."""

import importlib.util
import sys
from pathlib import Path

import typer

from patchbay.core.distribution import install_command
from patchbay.core.errors import ConfigError
from patchbay.core.exit_codes import fail

_CHECKOUT = Path(__file__).parents[2]
_NEEDED = ("locust", "matplotlib")
_HELP = "Put load on a Patchbay, and judge the result."


def add_load_commands(app: typer.Typer) -> None:
    """Adds `load` to `app`: the commands of the load tests, or one that says what to install where they are missing."""
    try:
        find_load_tests()
    except ConfigError as error:
        _add_missing(app, error)
    else:
        app.add_typer(importlib.import_module("loadtests.load.commands").app, name="load")


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
            hint=f"Install them: `make setup` in a checkout, or {install_command('dev')}.",
        )


def _add_missing(app: typer.Typer, error: ConfigError) -> None:
    @app.command("load", help=_HELP, context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
    def load() -> None:
        raise typer.Exit(fail(error))
