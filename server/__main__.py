"""`python -m server`: one replica."""

import typer

from server.commands import run

if __name__ == "__main__":
    typer.run(run)
