"""The measurement of an adapter that names persons and addresses, on a set of ours in six languages.

It asks a running Patchbay as a guard of the kind `entities` does: `python -m loadtests.names_measure --help`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import httpx
import typer
from rich.console import Console
from rich.table import Table

from loadtests.loopback import check_loopback
from loadtests.tables import put_into_page
from patchbay.adapters.commands.output import print_json
from patchbay.core.errors import ConfigError, PatchbayError
from patchbay.core.exit_codes import fail
from patchbay.guards.entities.adapter_finder import request_fields
from patchbay.guards.entities.finder import FinderFailed
from patchbay.guards.entities.named import named_entities
from patchbay.tuning.names.marked import MarkedText, read_marked
from patchbay.tuning.names.measure import Found, Span, measured

_SET: Final = Path("tests/redteam/entities")
_PAGE: Final = Path("docs/guards-measured.md")
_AT_A_TIME: Final = 16
_PROMPT: Final = (
    "List the names of persons and the postal addresses in the text, exactly as they are spelt there, as JSON: "
    '{"persons": ["Jane Roe"], "addresses": ["12 Elm Road, Hull"]}. Both lists may be empty.'
)
_COLUMNS: Final = ("who", "of", "marked", "told", "exact", "precision", "recall", "covered")


def run(
    url: Annotated[str, typer.Option(help="The address of a running Patchbay.")] = "http://127.0.0.1:8080",
    model: Annotated[str, typer.Option(help="The adapter.")] = "names",
    base: Annotated[str | None, typer.Option(help="The base's name, to be measured with a prompt beside it.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Write the figures into docs/guards-measured.md.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Measures how many of the marked persons and addresses an adapter names, by language and kind.

    Example: python -m loadtests.names_measure --base smollm2
    """
    check_loopback(url)
    texts = read_marked(_SET)
    asked: dict[str, Sequence[Mapping[str, str]]] = {model: ()}
    if base is not None:
        asked[base] = ({"role": "system", "content": _PROMPT},)
    rows = [
        row for name, before in asked.items() for row in _rows(name, *asyncio.run(_found(url, name, before, texts)))
    ]
    if as_json:
        print_json([dict(zip(_COLUMNS, row, strict=True)) for row in rows])
    else:
        Console().print(_table(rows))
    if write:
        _PAGE.write_text(put_into_page(_PAGE.read_text(encoding="utf-8"), "names-measured", _lines(rows)), "utf-8")


def _rows(name: str, found: Sequence[Found], unreadable: int) -> list[tuple[str, ...]]:
    rows = [
        (
            name,
            one.group,
            str(one.wanted),
            str(one.told),
            str(one.right),
            f"{one.precision:.3f}",
            f"{one.recall:.3f}",
            f"{one.coverage:.3f}",
        )
        for one in found
    ]
    return [*rows, (name, "answers in another form", str(unreadable), "", "", "", "", "")]


async def _found(
    url: str, model: str, before: Sequence[Mapping[str, str]], texts: Sequence[MarkedText]
) -> tuple[list[Found], int]:
    """Returns what `model` names in `texts`, and how many of its answers could not be read. `before`: messages that
    stand before each text."""
    turns = asyncio.Semaphore(_AT_A_TIME)
    async with httpx.AsyncClient(base_url=url, timeout=300) as client:

        async def ask(text: str) -> list[Span] | None:
            fields: dict[str, Any] = request_fields(text) | {"model": model}
            fields["messages"] = [*before, *fields["messages"]]
            async with turns:
                answer = await client.post("/v1/chat/completions", json=fields)
            return _spans(answer, text)

        spans = await asyncio.gather(*(ask(text.text) for text in texts))
    return measured(texts, [found or [] for found in spans]), sum(found is None for found in spans)


def _spans(answer: httpx.Response, text: str) -> list[Span] | None:
    if answer.status_code != 200:
        raise ConfigError(f"{answer.url} answers {answer.status_code}: {answer.text[:200]}")
    try:
        found = named_entities(answer.json()["choices"][0]["message"]["content"], text)
    except FinderFailed:
        return None
    return [(one.start, one.end, one.kind) for one in found]


def _table(rows: Sequence[Sequence[str]]) -> Table:
    made = Table(*_COLUMNS)
    for row in rows:
        made.add_row(*row)
    return made


def _lines(rows: Sequence[Sequence[str]]) -> str:
    head = [f"| {' | '.join(_COLUMNS)} |", "|---|---|" + "---:|" * (len(_COLUMNS) - 2)]
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows)])


def main() -> None:
    """Runs the command."""
    try:
        typer.run(run)
    except PatchbayError as error:
        raise SystemExit(fail(error)) from None


if __name__ == "__main__":
    main()
