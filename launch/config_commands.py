"""The commands `patchbay config`: check a configuration file, show what is in force, and begin a new one."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from patchbay.core.errors import PatchbayError, PlacedFault
    from patchbay.router.settings.config import PolicyConfig

app = typer.Typer(help="Check, show and begin configuration files.", no_args_is_help=True)
_File = Annotated[Path | None, typer.Option("--config", "-c", help="The file, by default ./patchbay.yaml.")]
_Router = Annotated[
    bool,
    typer.Option("--router", help="The file is one of `patchbay router`. Default: as its keys say."),
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_SCHEMA_FILE = "patchbay.schema.json"
_NEW_FILE = f"""\
# yaml-language-server: $schema={_SCHEMA_FILE}
# `patchbay config schema > {_SCHEMA_FILE}` writes the schema by which editors complete this file.
# Every key: docs/reference/configuration.md

base:
  model: BASE
  # tool_call_parser: hermes
  # reasoning_parser: qwen3

# adapters:
#   sql: ./my-lora

# replicas:
#   count: 2

# router:
#   port: 8080
"""


@app.command()
def check(config: _File = None, router: _Router = False, as_json: _Json = False) -> None:
    """Checks a file without starting anything: keys, values, guards, routes, and what they name.

    With --json each fault has its key, line, column and message, for editors and CI. Exit codes: 0 fit to start, 2
    not. Example: patchbay config check -c patchbay.yaml
    """
    from patchbay.adapters.commands.output import print_json
    from patchbay.core.errors import PatchbayError
    from patchbay.core.exit_codes import fail
    from patchbay.launch.checked import checked, checked_router, is_routers

    doubts: tuple[str, ...] = ()
    try:
        file = _file(config)
        if router or is_routers(file):
            checked_router(file)
        else:
            doubts = checked(file).doubts
    except PatchbayError as error:
        if as_json:
            print_json({"ok": False, "faults": _faults_of(error), "hint": error.hint})
            raise typer.Exit(2) from error
        raise typer.Exit(fail(error)) from error
    if as_json:
        print_json({"ok": True, "file": str(file), "doubts": doubts})
        return
    for doubt in doubts:
        typer.echo(f"perhaps wrong: {doubt}")
    typer.echo(f"{file} is fit to start.")


@app.command()
def show(config: _File = None, router: _Router = False, as_json: _Json = False) -> None:
    """Shows every key that is in force, defaults included. Secrets are shown as stars.

    Example: patchbay config show | less
    """
    from patchbay.adapters.commands.output import print_json
    from patchbay.core.yaml_text import yaml_text
    from patchbay.launch.checked import is_routers

    file = _file(config)
    loaded = _loaded(file, router=router or is_routers(file))
    data: dict[str, Any] = loaded.model_dump(mode="json")
    if as_json:
        print_json(data)
    else:
        sys.stdout.write(yaml_text(data, for_people=True))


@app.command()
def schema(router: _Router = False) -> None:
    """Prints the JSON schema of the file, for editors.

    Example: patchbay config schema > patchbay.schema.json
    """
    from patchbay.adapters.commands.output import print_json
    from patchbay.launch.config_schema import config_schema

    print_json(config_schema("router" if router else "patchbay"))


@app.command()
def init(
    base: Annotated[str, typer.Option("--base", help="The base model: a Hugging Face id or a folder.")],
    config: _File = None,
) -> None:
    """Writes a new configuration file with the keys that one needs first. One that is there stays as it is.

    Example: patchbay config init --base Qwen/Qwen3-0.6B
    """
    from patchbay.adapters.commands.session import DEFAULT_FILE
    from patchbay.core.errors import ConfigError
    from patchbay.core.yaml_text import yaml_text

    file = config or DEFAULT_FILE
    text = _NEW_FILE.replace("BASE", yaml_text(base).removesuffix("\n...\n").strip())
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError as error:
        raise ConfigError(f"{file} is there already.", hint="Name another file with --config.") from error
    except OSError as error:
        raise ConfigError(f"Cannot write {file}: {error.strerror}.") from error
    typer.echo(f"Wrote {file}. `patchbay up` serves it; `patchbay config check` checks it.")


def _faults_of(error: "PatchbayError") -> "Sequence[PlacedFault]":
    """Returns the faults that `error` tells one by one, else one without a place that says what it says."""
    from patchbay.core.errors import ConfigError, PlacedFault

    told = error.faults if isinstance(error, ConfigError) else ()
    return told or (PlacedFault(key="", line=None, column=None, message=error.message),)


def _file(chosen: Path | None) -> Path:
    """Returns the file to read. Raises ConfigError where there is none."""
    from patchbay.core.errors import ConfigError
    from patchbay.launch.config import DEFAULT_FILE

    file = chosen or DEFAULT_FILE
    if chosen is None and not file.exists():
        raise ConfigError(
            f"There is no {file} here.", hint="Begin one with `patchbay config init --base MODEL`, or name one with -c."
        )
    return file


def _loaded(file: Path, *, router: bool) -> "PolicyConfig":
    """Reads the file as the command would that starts it. Raises ConfigError."""
    if router:
        from patchbay.router.settings.config_file import load_router_config

        return load_router_config(file, {}, ["http://127.0.0.1:9001"])
    from patchbay.launch.config import Overrides, load_config

    return load_config(file, Overrides())
