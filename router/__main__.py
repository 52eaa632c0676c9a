"""`python -m router`: the same as `patchbay router`."""

import typer

from router.commands import run

if __name__ == "__main__":
    typer.run(run)
