"""The command `patchbay data label`: people give rows labels, in a terminal, and agree on them."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from patchbay.adapters.commands.output import console, print_json, table
from patchbay.adapters.commands.session import AsJson, Config
from patchbay.tuning.commands.data_session import DataSession, NewName, Reference, data_session, made_from, show_made

if TYPE_CHECKING:
    from patchbay.registry.dataset_records import DatasetRecord
    from patchbay.tuning.data.labelling import LabelQueue
    from patchbay.tuning.data.rows import Row

_Queue = Annotated[Path | None, typer.Option(help="The file of labels. Default: NAME-N.labels.jsonl.")]
_Annotator = Annotated[str | None, typer.Option(help="Your name: label the rows that you have not labelled yet.")]
_Adjudicate = Annotated[bool, typer.Option("--adjudicate", help="Decide where annotators disagree.")]
_Finish = Annotated[bool, typer.Option("--finish", help="Make a data set of the rows that have a label by now.")]


def label(  # noqa: PLR0913, PLR0917 - Typer makes an option of each parameter
    reference: Reference,
    annotator: _Annotator = None,
    labels: Annotated[str | None, typer.Option(help="The labels, with commas: billing,delivery,refund")] = None,
    guidelines: Annotated[
        Path | None, typer.Option(help="A text that is shown first: when which label is right.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="Rows to label, drawn evenly.")] = 50,
    seed: Annotated[int, typer.Option(help="Another seed draws other rows.")] = 0,
    queue: _Queue = None,
    adjudicate: _Adjudicate = False,
    finish: _Finish = False,
    into: Annotated[str, typer.Option(help="What a label becomes: the answer, a tag, or a vote.")] = "answer",
    name: NewName = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Labels rows in a terminal, two or more people each by themselves, into one file that can be left and gone on
    with. Without --annotator it tells how far they are and how well they agree (Krippendorff's alpha).

    Example: patchbay data label tickets@1 --labels billing,delivery --guidelines rules.md --annotator ann
    """
    from patchbay.tuning.data.labelling import open_queue

    with data_session(config) as session:
        record = session.record(reference)
        path = queue or Path(f"{record.draft.name}-{record.number}.labels.jsonl")
        task = _task(session, record, labels, (guidelines, rows, seed)) if labels else None
        opened = open_queue(path, task)
        if finish:
            _finish(session, record, opened, (into, name), as_json=as_json)
        elif annotator is not None or adjudicate:
            _label(session, record, opened, annotator, guidelines)
        if not finish:
            _show_state(opened, as_json=as_json)


def _task(session: DataSession, record: "DatasetRecord", labels: str, drawn: tuple[Path | None, int, int]) -> Any:
    from patchbay.tuning.data.labelling import LabelTask, chosen_rows, parse_labels

    guidelines, count, seed = drawn
    read = hashlib.sha256(guidelines.read_bytes()).hexdigest() if guidelines is not None else None
    digests = (row.digest for _, row in session.data.rows(record))
    chosen = chosen_rows(digests, count, seed)
    return LabelTask(data=record.name, labels=parse_labels(labels), rows=chosen, guidelines=read)


def _label(
    session: DataSession, record: "DatasetRecord", queue: "LabelQueue", annotator: str | None, guidelines: Path | None
) -> None:
    """Asks for labels, of rows that wait for `annotator`, or of disagreements where that is None."""
    from patchbay.tuning.data.labelling import ADJUDICATED

    wanted = queue.waiting(annotator) if annotator is not None else queue.open_disagreements()
    if guidelines is not None and wanted:
        console().print(guidelines.read_text(encoding="utf-8"), markup=False)
    rows = _rows(session, record, set(wanted))
    for number, digest in enumerate(wanted, 1):
        said = queue.labels().get(digest, {}) if annotator is None else {}
        chosen = _asked(rows[digest], queue.task.labels, f"{number} of {len(wanted)}", said)
        if chosen is None:
            break
        if chosen:
            queue.add(digest, annotator or ADJUDICATED, chosen)


def _rows(session: DataSession, record: "DatasetRecord", wanted: set[str]) -> "dict[str, Row]":
    return {digest: row for _, row in session.data.rows(record) if (digest := row.digest) in wanted}


def _asked(row: "Row", labels: tuple[str, ...], place: str, said: Any) -> str | None:
    """Asks for one label. Returns it, an empty text where the row is passed over, None where the person leaves."""
    from patchbay.tuning.data.labelling import meant_label

    shown = console()
    shown.print(f"\n[bold]{place}[/bold]")
    shown.print(row.asked[:2000], markup=False)
    if said:
        shown.print("; ".join(f"{name}: {given}" for name, given in said.items()), style="yellow", markup=False)
    choice = "  ".join(f"{number} {name}" for number, name in enumerate(labels, 1))
    while True:
        typed = typer.prompt(f"{choice}  (s skips, q leaves)", default="q", show_default=False)
        if typed in ("q", "s"):
            return None if typed == "q" else ""
        chosen = meant_label(typed, labels)
        if chosen is not None:
            return chosen
        shown.print(f"'{typed}' is none of the labels.", markup=False)


def _finish(
    session: DataSession,
    record: "DatasetRecord",
    queue: "LabelQueue",
    how: tuple[str, str | None],
    *,
    as_json: bool,
) -> None:
    from patchbay.core.errors import ConfigError
    from patchbay.tuning.data.agreement import meaning
    from patchbay.tuning.data.labelling import INTO, labelled

    into, name = how
    if into not in INTO:
        raise ConfigError(f"A label becomes {', '.join(INTO)}, not '{into}'.")
    final, alpha = queue.final(), queue.alpha()
    with session.data.writing() as writer:
        for split, row in session.data.rows(record):
            chosen = final.get(row.digest)
            if chosen is not None:
                writer.add(labelled(row, chosen, into), split)
        notes = {
            "labels": f"{len(final)} by {', '.join(sorted(_annotators(queue)))}",
            "agreement": f"{alpha:.3f} ({meaning(alpha)})" if alpha is not None else meaning(alpha),
        }
        made, created = session.keep(writer, name or record.draft.name, made_from(record, notes=notes))
    show_made(made, created, as_json=as_json, alpha=alpha)


def _annotators(queue: "LabelQueue") -> set[str]:
    return {name for given in queue.labels().values() for name in given}


def _show_state(queue: "LabelQueue", *, as_json: bool) -> None:
    from collections import Counter

    from patchbay.tuning.data.agreement import meaning

    alpha, people = queue.alpha(), sorted(_annotators(queue))
    counts = Counter(label for given in queue.labels().values() for label in given.values())
    left = {name: len(queue.waiting(name)) for name in people}
    if as_json:
        print_json(
            {
                "rows": len(queue.task.rows),
                "waiting": left,
                "labels": dict(counts),
                "alpha": alpha,
                "meaning": meaning(alpha),
                "disagreements": len(queue.open_disagreements()),
            }
        )
        return
    shown = console()
    total = len(queue.task.rows)
    shown.print(
        table(
            f"Labels of {queue.task.data}",
            ("annotator", "labelled"),
            [(n, f"{total - k} of {total}") for n, k in left.items()],
        )
    )
    said = f"{alpha:.3f}, {meaning(alpha)}" if alpha is not None else meaning(alpha)
    shown.print(f"Krippendorff's alpha: {said}. Disagreements to decide: {len(queue.open_disagreements())}.")
