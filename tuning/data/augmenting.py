"""The augmentation of questions, offline and deterministic: writing that differs as people's does, answers unchanged.

Source: Wei & Zou, "EDA", EMNLP 2019 (arXiv 1901.11196), for swaps; the typing errors are neighbours on a keyboard, as
in Belinkov & Bisk, ICLR 2018 (arXiv 1711.02173).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from random import Random
from types import MappingProxyType
from typing import Final

from patchbay.tuning.data.rows import Row
from patchbay.tuning.data.splitting import SAME_AS, group_key

_NEAR_KEYS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "a": "sq", "b": "vn", "c": "xv", "d": "sf", "e": "wr", "f": "dg", "g": "fh", "h": "gj", "i": "uo", "j": "hk",
        "k": "jl", "l": "k", "m": "n", "n": "bm", "o": "ip", "p": "o", "q": "w", "r": "et", "s": "ad", "t": "ry",
        "u": "yi", "v": "cb", "w": "qe", "x": "zc", "y": "tu", "z": "x",
    }
)  # fmt: skip
_PHRASES: Final = (
    ("please", "kindly"), ("I would like to", "I want to"), ("could you", "can you"), ("cannot", "can't"),
    ("do not", "don't"), ("I am", "I'm"), ("it is", "it's"), ("Hello,", "Hi,"), ("Thank you", "Thanks"),
    ("as soon as possible", "ASAP"), ("for example", "e.g."), ("because", "since"), ("very", "really"),
)  # fmt: skip
_WORD: Final = re.compile(r"[a-z]{4,}")


def _case(text: str, dice: Random) -> str:
    return dice.choice((str.lower, lambda one: one[:1].lower() + one[1:], _shouted))(text)


def _shouted(text: str) -> str:
    """Puts the first sentence in capitals."""
    first, end, rest = text.partition(".")
    return first.upper() + end + rest


def _typo(text: str, dice: Random) -> str:
    """Mistypes one plain word in twenty, at least one. Numbers and names, with capitals, stay: answers have them."""
    words = list(_WORD.finditer(text))
    for match in sorted(dice.sample(words, min(len(words), max(1, len(words) // 20))), key=lambda one: -one.start()):
        at = dice.randrange(match.start(), match.end())
        text = text[:at] + dice.choice(_NEAR_KEYS[text[at]]) + text[at + 1 :]
    return text


def _whitespace(text: str, dice: Random) -> str:
    return dice.choice(
        (lambda one: one.replace(". ", ".\n"), lambda one: one.replace(", ", ","), lambda one: f"{one}\n")
    )(text)


def _paraphrase(text: str, dice: Random) -> str:
    """Replaces phrases by others that say the same."""
    for one, other in _PHRASES:
        if dice.random() < 0.7:
            text = re.sub(rf"\b{re.escape(one)}(?!\w)", other, text)
    return text


WAYS: Final[Mapping[str, Callable[[str, Random], str]]] = MappingProxyType(
    {"case": _case, "typo": _typo, "whitespace": _whitespace, "paraphrase": _paraphrase}
)


def augmented(rows: Iterable[Row], ways: Sequence[str], *, copies: int, seed: int) -> Iterator[Row]:
    """Yields rows that ask the same as `rows` in other writing, up to `copies` of each, those that differ.

    Each is tagged `augmented:WAY`, and stays in its original's group, so that no split parts them.
    """
    for row in rows:
        seen = {row.asked}
        for copy in range(copies):
            way = ways[copy % len(ways)]
            dice = Random(blake2b(f"{seed}:{copy}:{row.digest}".encode(), digest_size=8).digest())  # noqa: S311
            made = _changed(row, WAYS[way], dice)
            if made.asked not in seen:
                seen.add(made.asked)
                group = row.marks.group or f"{SAME_AS}{group_key(row)}"
                name = f"{row.marks.id}+{way}{copy}" if row.marks.id else None
                yield made.marked(tags=(*row.marks.tags, f"augmented:{way}"), group=group, id=name)


def _changed(row: Row, change: Callable[[str, Random], str], dice: Random) -> Row:
    part = "messages" if row.kind == "chat" else "prompt"
    users = {
        (part, index): change(message["content"], dice)
        for index, message in enumerate(row.parts[part])
        if message["role"] == "user" and message.get("content")
    }
    return row.with_texts(users)
