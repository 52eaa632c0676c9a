"""Prompts that are cut from documents: a sentence by itself, or a request with a piece of a document."""

import random
import re
from collections.abc import Iterator, Sequence
from typing import Final

_SENTENCE: Final = re.compile(r"(?<=[.!?。])\s+|\n\s*\n")
_REQUESTS: Final = (
    "Summarise this:\n\n{}",
    "What does this mean? {}",
    "Explain the following to a beginner.\n{}",
    "Translate into German: {}",
    "Traduis en anglais : {}",
    "Fasse zusammen: {}",
    "Resume este texto: {}",
    "总结：{}",
    "要約して：{}",
    "Fix the errors in this:\n```\n{}\n```",
    "{}\n\nIs this correct?",
    "Rewrite it in plain words: {}",
    "Here is a file. List what it is for.\n---\n{}\n---",
)


def prompts(texts: Sequence[str], count: int, chance: random.Random) -> Iterator[str]:
    """Yields `count` prompts that are cut from documents' texts."""
    for _ in range(count):
        pieces = [piece for piece in _SENTENCE.split(_piece(chance.choice(texts), chance)) if len(piece) > 20]
        if not pieces:
            continue
        if chance.random() < 0.4:
            yield chance.choice(pieces)
        else:
            yield chance.choice(_REQUESTS).format(" ".join(pieces[: chance.randint(1, 8)]))


def _piece(text: str, chance: random.Random) -> str:
    start = chance.randrange(max(1, len(text) - 1500))
    return text[start : start + 1500]
