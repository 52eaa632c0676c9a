"""`python -m patchbay.router`: the same as `patchbay router`."""

import typer

from patchbay.router.cli.serve import run

if __name__ == "__main__":
    typer.run(run)
