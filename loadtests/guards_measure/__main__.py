"""The command of the measurement of guards: `python -m loadtests.guards_measure --help`."""

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from pydoc_data.topics import topics
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from loadtests.guards_measure import ours, page, peer, tables
from loadtests.guards_measure.arithmetic import counts_of, with_score
from loadtests.guards_measure.sets import SetText, read_sets
from patchbay.adapters.commands.output import print_json
from patchbay.core.errors import PatchbayError
from patchbay.core.exit_codes import fail

_PAGE: Final = Path("docs/guards-measured.md")
_SURE: Final = 0.5
_INJECTION: Final = 0.5
# Characters of a long text.
_LONG: Final = 32_768
_LOOKED_AT: Final = ("the texts, one by one", "the same, joined", "prose without findings")
_SECRET_KINDS: Final = frozenset(["SECRET", "PRIVATE_KEY", "JWT", "URL_CREDENTIALS"])


def run(
    rounds: Annotated[int, typer.Option(min=1, help="Times that all texts are looked at; costs are medians.")] = 5,
    without_peer: Annotated[bool, typer.Option("--without-presidio", help="Measure our guards alone.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Write the figures into docs/guards-measured.md.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Measures what guards find and miss in our own sets of texts, and what that costs, beside Presidio in the same
    run. Exit code 1: a target is missed.

    Example: python -m loadtests.guards_measure --rounds 3
    """
    texts = read_sets()
    long = [_long_text("\n".join(text.text for text in texts)), _long_text("\n".join(topics.values()))]
    own = ours.run(texts, long, rounds)
    why = "it was left out" if without_peer else peer.install()
    other = peer.run(texts, long, rounds) if why is None else None
    made = _tables(texts, own, other, long, rounds)
    missed = tables.missed(made)
    end = f"Missed: {'; '.join(missed)}." if missed else "All targets are met."
    head = _head(texts, own, other, rounds)
    if why is not None:
        head += f" Presidio did not run: {why}."
    _tell(made, head, end, as_json=as_json)
    if write:
        text = page.written(_PAGE.read_text(encoding="utf-8"), page.for_page(made, head, end))
        _PAGE.write_text(text, encoding="utf-8")
    raise typer.Exit(1 if missed else 0)


def _tables(
    texts: Sequence[SetText], own: ours.OurRun, other: peer.PeerRun | None, long: Sequence[str], rounds: int
) -> list[tables.FigureTable]:
    kinds = frozenset(span.kind for text in texts for span in text.spans)
    personal, secret = sorted(kinds - _SECRET_KINDS), sorted(kinds & _SECRET_KINDS)
    languages = sorted({text.language for text in texts})
    of_personal, of_secret = _beside(texts, own, other, personal), _beside(texts, own, other, secret)
    costs: dict[str, list[float | None]] = {
        "ours: pii and secrets": [own.seconds, *own.long_seconds],
        "ours: injection": [None, *ours.injection_costs(long, rounds)],
        "Presidio": [None] * 3 if other is None else [other.seconds, *other.long_seconds],
    }
    long_sizes = [len(text.encode()) for text in long]
    sizes = dict(zip(_LOOKED_AT, [sum(len(text.text.encode()) for text in texts), *long_sizes], strict=True))
    return [
        tables.by_kind("Personal data, by kind", of_personal, personal),
        tables.by_language("Personal data, by language", of_personal, languages),
        tables.cells_by_kind_and_language("Personal data found, ours / Presidio", of_personal, personal, languages),
        tables.by_kind("Secrets, by kind", of_secret, secret),
        tables.by_language("Secrets, by language", of_secret, languages),
        tables.of_injections(ours.injections(_INJECTION)),
        tables.of_refusals(ours.refusals()),
        tables.of_cost(costs, sizes),
    ]


def _beside(
    texts: Sequence[SetText], own: ours.OurRun, other: peer.PeerRun | None, kinds: Sequence[str]
) -> tables.Beside:
    compared = frozenset(kinds)
    known = frozenset(kind for entity in peer.ENTITIES.values() for kind in entity) & compared
    return tables.Beside(
        ours=counts_of(texts, own.found, compared),
        peer=None if other is None else counts_of(texts, other.found, compared),
        sure=None if other is None else counts_of(texts, with_score(other.found, _SURE), compared),
        known=known,
    )


def _long_text(text: str) -> str:
    return (text * (1 + _LONG // len(text)))[:_LONG]


def _head(texts: Sequence[SetText], own: ours.OurRun, other: peer.PeerRun | None, rounds: int) -> str:
    spans = sum(len(text.spans) for text in texts)
    clean = sum(not text.spans for text in texts)
    files = ", ".join(sorted({text.file for text in texts}))
    head = (
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, Patchbay {version('patchbay-serve')} with "
        f"{own.rules} rules of the sets `pii` and `secrets`, {rounds} rounds: {len(texts)} texts ({clean} of them "
        f"without anything to find) with {spans} spans, from {files}."
    )
    if other is None:
        return head
    left_out = ", ".join(f"{name} ({count})" for name, count in sorted(other.left_out.items()))
    return (
        f"{head} presidio-analyzer {other.version} with {other.recognizers} recognisers. Entities of it that it found, "
        f"that stand for no kind of ours, and that are left out: {left_out or 'none'}."
    )


def _tell(made: Sequence[tables.FigureTable], head: str, end: str, *, as_json: bool) -> None:
    if as_json:
        rows: list[dict[str, Any]] = [
            {"table": table.title, "columns": table.columns, "rows": table.rows} for table in made
        ]
        print_json({"run": head, "tables": rows, "end": end})
        return
    console = Console(highlight=False)
    for table in made:
        console.print(page.for_terminal(table))
    console.print(head, markup=False)
    console.print(end, markup=False)


if __name__ == "__main__":
    try:
        typer.run(run)
    except PatchbayError as error:
        raise SystemExit(fail(error)) from error
