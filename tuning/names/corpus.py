"""The corpus of the adapter that names persons and addresses: texts in six languages, each with what is named in it."""

import json
import random
import re
from dataclasses import dataclass
from typing import Final

from patchbay.tuning.names.templates import NOBODY, TEMPLATES
from patchbay.tuning.names.values import draw_address, draw_person

LANGUAGES: Final = tuple(TEMPLATES)
PERSONS, ADDRESSES = "persons", "addresses"
_PLACE: Final = re.compile(r"\{([PA])\}")
_NOBODY_SHARE, _TWO_SHARE = 0.2, 0.35


@dataclass(frozen=True, slots=True)
class NamedText:
    """A text, and the persons and addresses in it in their order."""

    text: str
    persons: tuple[str, ...]
    addresses: tuple[str, ...]

    def answer(self) -> str:
        """Writes what the adapter answers: a JSON object of two lists, as the text spells them."""
        return json.dumps({PERSONS: self.persons, ADDRESSES: self.addresses}, ensure_ascii=False)

    def row(self) -> dict[str, object]:
        """Returns the row of a data set: the text as a request, the answer to learn."""
        turns = [("user", self.text), ("assistant", self.answer())]
        return {"messages": [{"role": role, "content": content} for role, content in turns]}


def named_texts(seed: int, count: int) -> list[NamedText]:
    """Draws `count` texts of one or two sentences, of all languages in turn, a fifth of the sentences without names."""
    rng = random.Random(f"{seed}/names")  # noqa: S311 - reproducible draws, nothing secret
    return [_drawn(LANGUAGES[place % len(LANGUAGES)], rng) for place in range(count)]


def _drawn(language: str, rng: random.Random) -> NamedText:
    first = _sentence(language, rng)
    if rng.random() >= _TWO_SHARE:
        return first
    second = _sentence(language, rng)
    return NamedText(f"{first.text} {second.text}", first.persons + second.persons, first.addresses + second.addresses)


def _sentence(language: str, rng: random.Random) -> NamedText:
    if rng.random() < _NOBODY_SHARE:
        return NamedText(rng.choice(NOBODY[language]), (), ())
    found: dict[str, list[str]] = {"P": [], "A": []}

    def filled(place: re.Match[str]) -> str:
        kind = place.group(1)
        found[kind].append(draw_person(rng) if kind == "P" else draw_address(language, rng))
        return found[kind][-1]

    text = _PLACE.sub(filled, rng.choice(TEMPLATES[language]))
    return NamedText(text, tuple(found["P"]), tuple(found["A"]))
