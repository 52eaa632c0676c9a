"""Disguises of attacks: what people do to a text so that a model reads it and a filter does not, and where they put it.

`spelt` changes how a text is written, `placed` what is around it; both are drawn by chance.
"""

import base64
import codecs
import json
import random
from collections.abc import Callable, Sequence
from typing import Final

from patchbay.guards.injection.hidden import MORSE

_LEFT_OUT, _SWAPPED = 0.25, 0.1
Change = Callable[[str, random.Random], str]
_LEET: Final = str.maketrans("oieastOIEAST", "013457013457")
_SIGNS: Final = str.maketrans("aisAIS", "@!$@!$")
_ALIKE: Final = str.maketrans("aeopcxyiAEOPCXI", "аеорсхуіАЕОРСХІ")
_MORSE: Final = {letter: sign for sign, letter in MORSE.items()}


def spelt(text: str, chance: random.Random) -> str:
    """Returns `text` as it is written to be overlooked: encoded, with other letters, spaced out, or mistyped."""
    return chance.choice(_SPELLINGS)(text, chance)


def placed(text: str, around: Sequence[str], chance: random.Random) -> str:
    """Returns `text` where a model may find it: in a comment, a field, a quotation, a line of a document. `around`:
    harmless texts."""
    return (
        chance.choice(_PLACES)(text, chance)
        .replace("%BEFORE%", chance.choice(around)[-90:])
        .replace("%AFTER%", chance.choice(around)[:90])
    )


def mistyped(text: str, chance: random.Random) -> str:
    """Returns `text` with some of its letters swapped, doubled or left out."""
    letters = list(text)
    for _ in range(max(1, len(text) // 25)):
        place = chance.randrange(max(1, len(letters) - 1))
        kind = chance.randrange(3)
        if kind == 0 and place + 1 < len(letters):
            letters[place], letters[place + 1] = letters[place + 1], letters[place]
        elif kind == 1:
            letters.insert(place, letters[place] if letters else "")
        elif len(letters) > 12:
            del letters[place]
    return "".join(letters)


def thinned(text: str, chance: random.Random) -> str:
    """Returns `text` with a quarter of its words left out and some of them swapped, so that a model goes by many words
    and not by the few turns of one template."""
    words = [word for word in text.split(" ") if chance.random() > _LEFT_OUT]
    for place in range(len(words) - 1):
        if chance.random() < _SWAPPED:
            words[place], words[place + 1] = words[place + 1], words[place]
    return " ".join(words) or text


def _in_base64(text: str, chance: random.Random) -> str:
    return base64.b64encode(text.encode()).decode()


def _in_hex(text: str, chance: random.Random) -> str:
    return text.encode().hex(chance.choice(" :")) if chance.random() < 0.5 else text.encode().hex()


def _joined_strings(text: str, chance: random.Random) -> str:
    cuts = sorted(chance.sample(range(1, len(text)), min(3, len(text) - 1)))
    parts = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    if chance.random() < 0.5:
        return " + ".join(f'"{part}"' for part in parts)
    return "; ".join(f"{name} = '{part}'" for name, part in zip("abcd", parts, strict=False))


def _in_morse(text: str, chance: random.Random) -> str:
    return " / ".join(" ".join(_MORSE.get(char, "") for char in word) for word in text.lower().split())


def _spaced_out(text: str, chance: random.Random) -> str:
    gap = chance.choice(" .-_*")
    return "   ".join(gap.join(word) for word in text.split())


_SPELLINGS: Final[Sequence[Change]] = (
    _in_base64,
    _in_hex,
    _joined_strings,
    _in_morse,
    _spaced_out,
    mistyped,
    mistyped,
    lambda text, chance: "".join(f"%{byte:02x}" for byte in text.encode()),
    lambda text, chance: "".join(f"&#{ord(char)};" for char in text),
    lambda text, chance: "".join(f"\\u{ord(char):04x}" if ord(char) < 0x10000 else char for char in text),
    lambda text, chance: codecs.encode(text, "rot13"),
    lambda text, chance: text[::-1],
    lambda text, chance: text.translate(_LEET),
    lambda text, chance: text.translate(_SIGNS),
    lambda text, chance: "\u200b".join(text),
    lambda text, chance: text.translate(_ALIKE),
    lambda text, chance: text.upper(),
    lambda text, chance: text.replace(" ", ""),
)
_PLACES: Final[Sequence[Change]] = (
    lambda text, chance: f"<!-- {text} -->",
    lambda text, chance: f"%BEFORE%\n<!-- {text} -->\n%AFTER%",
    lambda text, chance: f"%BEFORE%\n\n{text}\n\n%AFTER%",
    lambda text, chance: f"%BEFORE% {text} %AFTER%",
    lambda text, chance: f"%BEFORE%\n{chance.choice(['# ', '// ', '> ', '- ', '* ', '1. ', '| '])}{text}\n%AFTER%",
    lambda text, chance: f"```\n{text}\n```",
    lambda text, chance: f'"{text}"',
    lambda text, chance: json.dumps({chance.choice(["note", "text", "content", "result", "body"]): text}),
    lambda text, chance: json.dumps({"rows": ["%BEFORE%", text]}, ensure_ascii=False),
    lambda text, chance: f"%BEFORE%\n[{chance.choice(['SYSTEM', 'NOTE', 'ADMIN', 'TOOL OUTPUT', 'hidden'])}] {text}",
    lambda text, chance: f"<{chance.choice(['p', 'div hidden', 'note', 'system', 'td'])}>{text}</p>",
    lambda text, chance: (
        f"{chance.choice(['Summarise this:', 'Translate:', 'Review this page:', 'Tool result:'])} %BEFORE% {text}"
    ),
    lambda text, chance: f"%AFTER%\nPS: {text}",
)
