"""The command `patchbay tune parity`: writes the parity file of an adapter from elsewhere."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from patchbay.adapters.commands.output import activity, console, facts, print_json

if TYPE_CHECKING:
    from patchbay.adapters.parity.file import ParityFile

_MOST_LINES = 10_000
_Rows = Annotated[
    Path | None,
    typer.Option(
        "--rows", help="A JSONL file of 'messages', the last the answer. Default: prompts of ours, with PEFT's answers."
    ),
]


def parity(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The adapter's folder, as PEFT saved it.")],
    base: Annotated[Path, typer.Option("--base", help="The folder of the base that serves.")],
    rows: _Rows = None,
    limit: Annotated[int, typer.Option(min=1, max=32, help="The most rows to write.")] = 32,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Writes what PEFT answers with an adapter into its folder, so that replicas prove that they answer the same.

    The rows are kept in the revision, readable by whoever reads the adapter.

    Example: patchbay tune parity ./my-lora --base ./models/my-base
    """
    from patchbay.tuning.parity.loading import write_parity_of

    given = read_rows(rows) if rows is not None else None
    with activity(f"scoring {folder}"):
        file = write_parity_of(folder, base=base, rows=given, limit=limit)
    _show(folder, file, as_json=as_json)


def read_rows(path: Path) -> list[Mapping[str, Any]]:
    """Reads at most 10,000 rows of a JSONL file. Raises ConfigError, with the line, where one is no row."""
    from patchbay.core.errors import ConfigError

    try:
        with path.open(encoding="utf-8") as file:
            return list(_rows_of(file, path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.", hint="Give a JSONL file in UTF-8.") from error


def _rows_of(lines: Iterable[str], path: Path) -> Iterator[Mapping[str, Any]]:
    from patchbay.adapters.checks.strict_json import decode
    from patchbay.core.errors import ConfigError

    for number, line in enumerate(lines, start=1):
        if number > _MOST_LINES:
            return
        if not line.strip():
            continue
        try:
            row = decode(line.encode())
        except ValueError as error:
            raise ConfigError(f"{path}, line {number}: {error}.", hint="Give one JSON object a line.") from error
        messages = row.get("messages") if isinstance(row, dict) else None
        if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
            raise ConfigError(
                f"{path}, line {number}: it has no list of messages.",
                hint='Write {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}.',
            )
        yield row


def _show(folder: Path, file: "ParityFile", *, as_json: bool) -> None:
    from patchbay.adapters.contents import PARITY_FILE
    from patchbay.adapters.parity.comparing import apart, flat

    tokens = sum(len(row.ids) for row in file.rows)
    effect = apart(flat([row.adapted for row in file.rows]), flat([row.plain for row in file.rows]))
    shown = {"file": str(folder / PARITY_FILE), "rows": len(file.rows), "tokens": tokens, "modules": len(file.modules)}
    if as_json:
        print_json({**shown, "effect_nats": round(effect, 4), "noise_nats": file.noise, "base": file.base})
        return
    effect_text = f"{effect:.3f} nats a token, on average"
    noise = f"{file.noise:.3f} nats a token, of the base in bfloat16" if file.noise is not None else None
    console().print(facts({**shown, "effect": effect_text, "noise": noise, "base": file.base}))
    typer.echo("Push the folder as it is: replicas compare before the adapter serves.")
