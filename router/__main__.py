"""`python -m patchbay.router`: the same as `patchbay router`."""

import typer

from patchbay.core.distribution import run_command
from patchbay.router.cli.serve import run

if __name__ == "__main__":
    run_command(lambda: typer.run(run))
