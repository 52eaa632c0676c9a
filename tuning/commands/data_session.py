"""The parts that all commands of `patchbay data` share: the open data sets, their output, and progress."""

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from patchbay.adapters.commands.output import console, facts, print_json, size
from patchbay.adapters.commands.session import Session, opened

if TYPE_CHECKING:
    from patchbay.registry.dataset_records import DatasetRecord
    from patchbay.tuning.data.store import DataSets, Origin, RowWriter

Reference = Annotated[str, typer.Argument(metavar="NAME[@N]", help="The data set. A bare name is its newest.")]
NewName = Annotated[
    str | None, typer.Option("--name", "-n", help="The name of the new data set. Default: the same, a number on.")
]
_SHOWN_AFTER_S = 2.0


@dataclass(frozen=True, slots=True)
class DataSession:
    """The data sets of an installation, and the person who works on them."""

    session: Session
    data: "DataSets"

    def record(self, reference: str) -> "DatasetRecord":
        """Finds a data set. Raises NotFound."""
        return self.data.registry.datasets.resolve(reference)

    def keep(self, writer: "RowWriter", name: str, origin: "Origin") -> tuple["DatasetRecord", bool]:
        """Stores what was written, and returns it and whether it is new."""
        return self.data.keep(writer, name, origin, actor=self.session.actor)


@contextmanager
def data_session(config: Path | None) -> Iterator[DataSession]:
    """Opens the data sets by a configuration. Errors end the command with one line and their exit code."""
    from patchbay.tuning.data.resolve import data_sets

    with opened(config) as session:
        yield DataSession(session, data_sets(session.registry, session.config))


def made_from(record: "DatasetRecord", *, notes: dict[str, str] | None = None) -> "Origin":
    """Returns the origin of a data set that the running command makes of `record`."""
    from patchbay.tuning.data.store import Origin

    draft = record.draft
    return Origin(
        source=draft.source,
        licence=draft.licence,
        consent=draft.consent,
        parents=(record.name,),
        command=command_line(),
        notes=notes or {},
    )


def command_line(arguments: Sequence[str] | None = None) -> str:
    """Returns the running command, as one would type it."""
    given = sys.argv if arguments is None else arguments
    return shlex.join(["patchbay", *given[1:]])


def show_made(record: "DatasetRecord", created: bool, *, as_json: bool, **more: Any) -> None:
    """Shows a data set that was made. `more`: what else programs are told."""
    from patchbay.tuning.data.store import described

    if as_json:
        print_json({**described(record), "created": created, **more})
        return
    draft = record.draft
    splits = ", ".join(f"{split.name} {split.rows}" for split in draft.splits)
    state = "" if created else " (there already: the same rows)"
    console().print(f"[bold]{record.name}[/bold]{state}", highlight=False)
    console().print(
        facts(
            {"rows": f"{draft.rows} ({splits})", "kind": draft.kind, "size": size(draft.bytes), "digest": draft.digest}
        )
    )


@contextmanager
def counting(what: str, total: int | None, *, silent: bool) -> Iterator[Callable[[int], None]]:
    """Shows a bar on standard error while rows are counted, once that takes over two seconds. `total`: None where it is
    not known."""
    from patchbay.tuning.data.late_bar import LateBar

    bar = LateBar(what, total, after_s=_SHOWN_AFTER_S, silent=silent)
    try:
        yield bar.advance
    finally:
        bar.stop()
