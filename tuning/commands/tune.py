"""The commands `patchbay tune`."""

import typer

from patchbay.tuning.commands.parity import parity

app = typer.Typer(no_args_is_help=True, help="Training of adapters, and proof that they serve as they were trained.")
app.command("parity")(parity)
