"""The reader of texts in which people have marked persons and addresses: `[P:Ann Lee]` and `[A:5 High Street]`."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_MARK: Final = re.compile(r"\[([PA]):([^\]]+)\]")
KINDS: Final = {"P": "PERSON", "A": "LOCATION"}


@dataclass(frozen=True, slots=True)
class MarkedText:
    """A text without its marks. `spans`: [start, end, kind] of each mark, in characters, in their order."""

    text: str
    language: str
    spans: tuple[tuple[int, int, str], ...]


def read_marked(folder: Path) -> list[MarkedText]:
    """Reads every `LANGUAGE.txt` in `folder`, a text a line."""
    return [
        marked_text(line, file.stem)
        for file in sorted(folder.glob("*.txt"))
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.strip()
    ]


def marked_text(line: str, language: str) -> MarkedText:
    """Takes the marks out of one line."""
    text, spans, done = "", [], 0
    for mark in _MARK.finditer(line):
        text += line[done : mark.start()]
        spans.append((len(text), len(text) + len(mark.group(2)), KINDS[mark.group(1)]))
        text += mark.group(2)
        done = mark.end()
    return MarkedText(text + line[done:], language, tuple(spans))
