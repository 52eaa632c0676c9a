"""The command `patchbay data`, with its sub-commands."""

import typer

from patchbay.tuning.commands import data_check, data_import, data_label, data_make, data_mix, data_show, data_split
from patchbay.tuning.commands.data_clean import clean
from patchbay.tuning.commands.data_decide import decide
from patchbay.tuning.commands.data_retire import retire

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Import, check, clean, split and mix data sets for tuning, each an immutable revision in the registry.",
)
app.command("decide")(decide)
app.command("import")(data_import.import_files)
app.command("list")(data_show.list_sets)
app.command("show")(data_show.show)
app.command("sample")(data_mix.sample)
app.command("check")(data_check.check)
app.command("clean")(clean)
app.command("split")(data_split.split)
app.command("mix")(data_mix.mix)
app.command("diff")(data_mix.diff)
app.command("label")(data_label.label)
app.command("augment")(data_make.augment)
app.command("synthesize")(data_make.synthesize)
app.command("export")(data_mix.export)
app.command("retire")(retire)
