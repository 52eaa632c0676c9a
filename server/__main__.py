"""The entry point of `python -m patchbay.server`: runs one replica."""

import typer

from patchbay.core.distribution import run_command
from patchbay.server.commands import run

if __name__ == "__main__":
    run_command(lambda: typer.run(run))
