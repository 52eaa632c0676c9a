"""The command `patchbay data decide`: prompt, retrieval or tuning, as a card."""

from pathlib import Path
from typing import Annotated

import typer

from patchbay.adapters.commands.output import print_json
from patchbay.adapters.commands.session import AsJson


def decide(
    case: Annotated[Path, typer.Argument(metavar="CASE.YAML", help="What is known of the task.")],
    card: Annotated[Path | None, typer.Option(help="Also write the card to this Markdown file.")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit code 1 unless it is a case for tuning and nothing is missing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Decides by what handbooks say whether a task is one for a prompt, for retrieval or for tuning, and lists what is
    missing before training. The result is a card, which a release carries on.

    Example: patchbay data decide case.yaml --card decision.md
    """
    from patchbay.core.errors import PatchbayError
    from patchbay.core.exit_codes import fail
    from patchbay.core.settings import load_yaml, parse_settings
    from patchbay.tuning.data import deciding
    from patchbay.tuning.data.writing import write_whole

    try:
        known = parse_settings(deciding.TuningCase, load_yaml(case), source=str(case), file=case)
        decision = deciding.decide(known)
        text = deciding.card_markdown(known, decision)
        if card is not None:
            write_whole(card, text)
    except PatchbayError as error:
        raise typer.Exit(fail(error)) from error
    document = deciding.case_document(known, decision)
    if as_json:
        print_json(document)
    else:
        typer.echo(text)
    if strict and not document["may_train"]:
        raise typer.Exit(1)
