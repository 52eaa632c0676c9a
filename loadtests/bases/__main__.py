"""Bases of several kinds with adapters, held against PEFT: `python -m loadtests.bases --help`."""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from loadtests.bases.asked import ask, prompts
from loadtests.bases.compared import Agreement, agreement
from loadtests.bases.making import KINDS, BaseKind, make_adapter, make_base
from loadtests.bases.running import NAME, ServedBase, served_base
from loadtests.tables import for_page, for_terminal, put_into_page
from patchbay.core.errors import PatchbayError
from patchbay.core.exit_codes import fail

_PAGE = Path("docs/adapters.md")
_COLUMNS = ("base, adapter", "same tokens", "worst choice, nats", "log-probabilities apart", "effect, nats")
_PACKED = ("qwen2", "qwen3", "gemma3", "mistral", "phi3")
_REFUSED = ("refused: --fold", "", "", "")


def all_kinds() -> tuple[BaseKind, ...]:
    """Lists the bases: every kind in float32, and some in int4."""
    return (*(BaseKind(name) for name in KINDS), *(BaseKind(name, int4=True) for name in _PACKED))


def run(
    only: Annotated[list[str] | None, typer.Option(help="A base by its name in the table. Repeatable.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Put the table into docs/adapters.md.")] = False,
) -> None:
    """Serves a small base of each kind, with adapters, and prints how far their answers are from PEFT's.

    Example: python -m loadtests.bases --only qwen3 --only "phi3 int4"
    """
    chosen = [kind for kind in all_kinds() if not only or kind.title in only]
    rows: dict[str, tuple[str, ...]] = {}
    for kind in chosen:
        with tempfile.TemporaryDirectory(prefix="patchbay-bases-") as folder:
            for name, cells in rows_of(kind, Path(folder)):
                typer.echo(f"{kind.title}, {name}: {', '.join(filter(None, cells))}", err=True)
                rows[f"{kind.title}, {name}"] = cells
    from rich.console import Console

    Console(width=120).print(for_terminal("Adapters on bases of other kinds", _COLUMNS, rows))
    if write:
        text = for_page(_COLUMNS, rows, "By `make bases`: 72 tokens for each, after the same text.")
        _PAGE.write_text(put_into_page(_PAGE.read_text(encoding="utf-8"), "bases", text), encoding="utf-8")


def rows_of(kind: BaseKind, folder: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Makes and serves a base of this `kind` in `folder`, and yields a row for each of its adapters."""
    base = make_base(kind, folder / "base")
    adapters = [(one, make_adapter(base, one, folder / f"adapter-{at}")) for at, one in enumerate(kind.recipes())]
    with served_base(folder / "base", folder / "stack", dtype="bfloat16" if kind.int4 else "float32") as stack:
        yield "no adapter", cells_of(agreement(base, None, ask(stack.url, NAME, prompts())))
        for at, (recipe, adapter) in enumerate(adapters):
            yield recipe.name, _row(stack, f"adapter-{at}", adapter, base)


def _row(stack: ServedBase, name: str, adapter: Path, base: object) -> tuple[str, ...]:
    try:
        stack.serve(name, str(adapter))
    except PatchbayError as error:
        if "--fold FOLDER" not in str(error):
            raise
        return _REFUSED
    return cells_of(agreement(base, adapter, ask(stack.url, name, prompts())))


def cells_of(found: Agreement) -> tuple[str, ...]:
    """Formats one comparison for the table."""
    return (f"{found.same} of {found.tokens}", f"{found.short:.4f}", f"{found.apart:.4f}", f"{found.effect:.1f}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs it, and ends with the exit code of an error."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(run)
    try:
        app(arguments)
    except PatchbayError as error:
        sys.exit(fail(error))


if __name__ == "__main__":
    main()
