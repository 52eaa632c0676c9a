"""The command `patchbay why`: walks from a revision back to the rows that taught it."""

from typing import TYPE_CHECKING, Annotated

import typer

from patchbay.adapters.commands.output import console, facts, print_json
from patchbay.adapters.commands.session import AsJson, Config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from patchbay.tuning.commands.data_session import DataSession
    from patchbay.tuning.data.lineage import LineageStep, StepFinder
    from patchbay.tuning.data.rows import Row


def why(
    reference: Annotated[
        str,
        typer.Argument(metavar="NAME[@N]", help="A revision, or a data set. A bare name means the one in 'stable'."),
    ],
    rows: Annotated[int, typer.Option(min=0, help="Rows of its data to show, drawn evenly.")] = 3,
    seed: Annotated[int, typer.Option(help="Another seed draws other rows.")] = 0,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Shows why a revision answers as it does: the data set that it was trained on, what that was made from, by which
    commands and of which sources, and some of its rows, with what guards find taken out.

    Example: patchbay why sql@4
    """
    from patchbay.tuning.commands.data_session import data_session
    from patchbay.tuning.data.guarding import compiled_guards

    with data_session(config) as session:
        steps = _steps(session, reference)
        drawn = _rows(session, steps, rows, seed)
        guards = compiled_guards() if drawn else None
        if as_json:
            shown = [guards.masked(f"{row.asked}\n{row.answers[-1]}") for _, row in drawn] if guards else []
            print_json({"steps": steps, "rows": shown})
            return
        _show(steps)
        if drawn:
            from patchbay.tuning.commands.data_show import show_rows

            console().print("\n[bold]Some of its rows[/bold]")
            show_rows(drawn, masked=True)


def _steps(session: "DataSession", reference: str) -> "Sequence[LineageStep]":
    """Walks back from a revision, or from a data set where no adapter is called so. Raises NotFound."""
    from patchbay.core.errors import NotFound
    from patchbay.tuning.data.lineage import walk_back, walk_data

    registry = session.data.registry
    try:
        revision = registry.resolve(reference)
    except NotFound as missing:
        try:
            return list(walk_data(registry, session.record(reference)))
        except NotFound:
            raise missing from None
    return list(walk_back(registry, revision, step_finders(session)))


def step_finders(session: "DataSession") -> "Sequence[StepFinder]":
    """Returns what finds further steps of a revision. The seam for runs, evaluations and releases."""
    return ()


def _rows(session: "DataSession", steps: "Sequence[LineageStep]", count: int, seed: int) -> "list[tuple[str, Row]]":
    """Draws rows of the nearest data set; those of train, which taught."""
    from patchbay.tuning.data.lineage import sampled

    name = next((step.name for step in steps if step.kind == "data"), None)
    if name is None or count == 0:
        return []
    record = session.record(name)
    if record.retired_at is not None:
        return []
    split = next((one.name for one in record.draft.splits if one.name == "train"), None)
    return sampled(session.data, record, count, seed, split)


def _show(steps: "Sequence[LineageStep]") -> None:
    shown = console()
    for step in steps:
        made_from = f"  from {', '.join(step.made_from)}" if step.made_from else ""
        shown.print(f"\n[bold]{step.name}[/bold] [dim]{step.kind}[/dim]{made_from}")
        shown.print(facts(step.facts))
        if step.warning:
            shown.print(f"[yellow]{step.warning}[/yellow]")
