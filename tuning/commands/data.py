"""The command `patchbay data`, with its sub-commands."""

import typer

from patchbay.tuning.commands import (
    data_check,
    data_clean,
    data_decide,
    data_import,
    data_retire,
    data_show,
    data_split,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Import, check, clean, split and mix data sets for tuning, each an immutable revision in the registry.",
)
app.command("import")(data_import.import_files)
app.command("list")(data_show.list_sets)
app.command("show")(data_show.show)
app.command("check")(data_check.check)
app.command("clean")(data_clean.clean)
app.command("split")(data_split.split)
app.command("decide")(data_decide.decide)
app.command("retire")(data_retire.retire)
