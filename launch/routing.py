"""The entry point of the router of a `patchbay up`, which reads the policy anew from the whole patchbay.yaml."""

from pathlib import Path
from typing import Annotated

import typer

from patchbay.core.errors import PatchbayError
from patchbay.core.exit_codes import fail
from patchbay.core.settings import load_yaml
from patchbay.launch.config import Overrides, PatchbayConfig, load_config
from patchbay.router.cli.serve import serve_file

# The file may name no base model, because the command line did. The router does not need its name.
_ANY_BASE = "base"


def read_patchbay_file(file: Path) -> PatchbayConfig:
    """Reads a patchbay.yaml, and checks it as a whole, as at the start. Raises ConfigError."""
    base = None if load_yaml(file).get("base") is not None else _ANY_BASE
    return load_config(file, Overrides(base=base))


def main(
    config: Annotated[Path, typer.Option(help="The router's own configuration.")],
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="More log lines, and tracebacks.")] = False,
) -> None:
    """Runs the router of a `patchbay up`."""
    try:
        serve_file(config, read_patchbay_file, verbose=verbose)
    except PatchbayError as error:
        if verbose:
            raise
        raise typer.Exit(fail(error)) from error


if __name__ == "__main__":
    typer.run(main)
