"""Parity files of a few made-up rows."""

from pathlib import Path
from typing import Any

from patchbay.adapters.contents import PARITY_FILE
from patchbay.adapters.parity.file import ParityFile, ParityRow
from tests.fakes.adapter_folder import MODULE

ROWS = 4
_MOVES = 2.0


def parity_row(number: int) -> ParityRow:
    """A row of six tokens, which the adapter makes likelier by 2 nats each."""
    ids = tuple(10 * number + place for place in range(6))
    plain = tuple(-4.0 - 0.1 * place for place in range(5))
    messages = ({"role": "user", "content": f"question {number}"},)
    return ParityRow(messages, f"user: question {number}", ids, 3, tuple(one + _MOVES for one in plain), plain)


def parity_file(**changes: Any) -> ParityFile:
    """A file of four rows, by the one module of `adapter_folder`, scaled by 2."""
    facts: dict[str, Any] = {
        "base": None, "vocabulary": None, "template": None, "max_length": None, "modules": {MODULE: 2.0},
        "rows": tuple(map(parity_row, range(ROWS))),
    }  # fmt: skip
    return ParityFile(**facts | changes)


def write_parity_file(folder: Path, **changes: Any) -> ParityFile:
    """Writes one into the adapter's `folder`."""
    file = parity_file(**changes)
    (folder / PARITY_FILE).write_text(file.to_json(), encoding="utf-8")
    return file
