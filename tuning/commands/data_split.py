"""The command `patchbay data split`: divides a data set into train, validation and test."""

from typing import TYPE_CHECKING, Annotated

import typer

from patchbay.adapters.commands.session import AsJson, Config
from patchbay.tuning.commands.data_session import DataSession, NewName, Reference, data_session, made_from, show_made

if TYPE_CHECKING:
    from patchbay.registry.dataset_records import DatasetRecord


def split(  # noqa: PLR0913, PLR0917 - Typer makes an option of each parameter
    reference: Reference,
    shares: Annotated[str, typer.Option(help="Shares of train, validation and test.")] = "80/10/10",
    seed: Annotated[int, typer.Option(help="Another seed splits otherwise.")] = 0,
    near: Annotated[
        float, typer.Option(min=0, max=1, help="Similarity from which questions go together; 0 looks at groups alone.")
    ] = 0.8,
    like: Annotated[
        str | None,
        typer.Option(metavar="NAME@N", help="Keep rows where this one has them. Default: the last split revision."),
    ] = None,
    anew: Annotated[bool, typer.Option("--anew", help="Look at no earlier revision.")] = False,
    name: NewName = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Splits a data set by a hash of each row's group (its mark `group`, else what it asks), near duplicates together.
    Rows stay where they are when others are added.

    Example: patchbay data split tickets@2 --shares 80/10/10
    """
    from patchbay.tuning.data.splitting import SplitPlan, parse_shares, split_rows

    with data_session(config) as session:
        record = session.record(reference)
        earlier = None if anew else _earlier(session, record, like)
        plan = SplitPlan(shares=parse_shares(shares), seed=seed, near=near or None, before=_before(session, earlier))
        notes = {"split": f"{shares}, seed {seed}"} | ({"split like": earlier.name} if earlier else {})
        with session.data.writing() as writer:
            # Read twice, since rows are more than memory may hold, and their places are not.
            places = split_rows((row for _, row in session.data.rows(record)), plan)
            for (_, row), where in zip(session.data.rows(record), places, strict=True):
                writer.add(row, where)
            made, created = session.keep(writer, name or record.draft.name, made_from(record, notes=notes))
        show_made(made, created, as_json=as_json, like=earlier.name if earlier else None)


def _earlier(session: DataSession, record: "DatasetRecord", like: str | None) -> "DatasetRecord | None":
    """Returns the revision whose places count: the one that was named, else the last of this name with splits."""
    if like is not None:
        return session.record(like)
    known = session.data.registry.datasets.all(record.draft.name)
    split = [
        one for one in known if len(one.draft.splits) > 1 and one.retired_at is None and one.number != record.number
    ]
    return split[-1] if split else None


def _before(session: DataSession, earlier: "DatasetRecord | None") -> dict[str, str]:
    from patchbay.tuning.data.splitting import group_key

    if earlier is None:
        return {}
    return {group_key(row): where for where, row in session.data.rows(earlier)}
