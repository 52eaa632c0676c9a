"""The entry point of `python -m patchbay.server`: runs one replica."""

import typer

from patchbay.server.commands import run

if __name__ == "__main__":
    typer.run(run)
