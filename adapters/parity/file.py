"""The parity file of an adapter: texts, their tokens, and the log-probabilities that the trainer gave them.

Log-probabilities are of every token of a row but the first, prompt included: those of an answer that the adapter knows
by heart are all near 0, and would look the same after many a fault.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

VERSION = 1
# The most rows of a file, tokens of one row, and tokens of all of them.
MOST_ROWS = 32
MOST_ROW_TOKENS = 4096
MOST_TOKENS = 32_768
# The most modules that an adapter's file may name, and the most bytes of the file.
MOST_MODULES = 20_000
MOST_BYTES = 8 * 1024**2
_DIGITS = 4


@dataclass(frozen=True, slots=True)
class ParityRow:
    """One conversation as it was scored by the trainer.

    `messages`: the conversation, each with a role and a content, without its answer; `prompt`: those, rendered by the
    trainer's chat template; `ids`: the tokens of the prompt, up to `start`, and of the answer, from there on;
    `adapted`, `plain`: the logarithms of the probabilities of `ids[1:]`, with the adapter and without it, in nats.
    """

    messages: tuple[Mapping[str, str], ...]
    prompt: str
    ids: tuple[int, ...]
    start: int
    adapted: tuple[float, ...]
    plain: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityFile:
    """The content of a parity file.

    `base`: the fingerprint of the base that the trainer had, None where it had no folder; `vocabulary`, `template`:
    SHA-256 of its tokenizer's tokens and of its chat template, None where they are not known; `max_length`: the tokens
    at which it cut examples, None for no limit; `modules`: the adapted modules of the base, each with the factor by
    which its product was scaled; `made_by`: the program that wrote the file.
    """

    base: str | None
    vocabulary: str | None
    template: str | None
    max_length: int | None
    modules: Mapping[str, float]
    rows: tuple[ParityRow, ...]
    weights: str | None = None
    noise: float | None = None
    made_by: str | None = None

    def to_json(self) -> str:
        """Writes the file's text. Log-probabilities are rounded to 0.0001 nats."""
        document = {"version": VERSION, **asdict(self), "rows": [_row(row) for row in self.rows]}
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n"


def _row(row: ParityRow) -> dict[str, object]:
    """Returns a row in JSON's types."""
    rounded = {name: [round(value, _DIGITS) for value in getattr(row, name)] for name in ("adapted", "plain")}
    messages = [dict(message) for message in row.messages]
    return {"messages": messages, "prompt": row.prompt, "ids": list(row.ids), "start": row.start, **rounded}
