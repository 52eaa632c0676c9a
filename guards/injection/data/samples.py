"""Samples made from the templates: seeded, so the same every time. What is held out has templates of its own."""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

_FIELD: Final = re.compile(r"\{([^{}]*)\}")
# Braces that are no field, while the others are filled.
_KEPT: Final = str.maketrans({"\x01": "{", "\x02": "}"})
_PER_ATTACK, _PER_BENIGN, _PER_HELD = 8, 8, 6
_SEVERAL: Final = 1700
# In characters: what the detector looks at together.
_WINDOW: Final = 240
_BESIDE: Final = 120
_DOCUMENTS, _DOCUMENT_LENGTH, _ALIKE = 60, 2000, 3


@dataclass(frozen=True, slots=True)
class Sample:
    """A text. `family`: of attacks, or of what is harmless."""

    text: str
    family: str
    attack: bool


@cache
def templates(name: str) -> Mapping[str, Sequence[str]]:
    """Templates, or slots, by family, from a file of this package."""
    lines = (resources.files(__package__) / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    found: dict[str, list[str]] = {}
    family: list[str] | None = None
    for line in lines:
        if line.startswith("%% "):
            family = found.setdefault(line[3:], [])
        elif family is not None and line:
            family.append(line.replace("\\n", "\n"))
    return found


def training(seed: int = 0) -> list[Sample]:
    """What the detector is trained on: some 3,000 texts of a few hundred characters at most."""
    chance = random.Random(seed)  # noqa: S311
    benign = list(_filled("benign", _PER_BENIGN, chance, attack=False))
    attacks = list(_filled("attacks", _PER_ATTACK, chance, attack=True))
    texts = [one.text for one in benign]
    made = [Sample(_dressed(_among(one.text, texts, chance), chance), one.family, attack=True) for one in attacks]
    made += [Sample(_dressed(one.text, chance), one.family, attack=False) for one in benign]
    made += [Sample(_dressed(_several(texts, chance), chance), "several", attack=False) for _ in range(_SEVERAL)]
    return made


def held_out(seed: int = 1) -> list[Sample]:
    """What the detector is judged by: alone, and in documents of some 2,000 characters."""
    chance = random.Random(seed)  # noqa: S311
    benign = list(_filled("held_benign", _PER_HELD, chance, attack=False))
    attacks = list(_filled("held_attacks", _PER_HELD, chance, attack=True))
    documents = [_document(benign, chance) for _ in range(2 * _DOCUMENTS)]
    clean = [Sample("\n".join(lines), "document", attack=False) for lines in documents[:_DOCUMENTS]]
    hiding = [_infected(lines, chance.choice(attacks).text, chance) for lines in documents[_DOCUMENTS:]]
    return [*attacks, *hiding, *benign, *clean]


def fill(template: str, chance: random.Random) -> str:
    """`template` with its choices taken and its slots filled. Other braces stay."""

    def taken(field: re.Match[str]) -> str:
        body = field[1]
        if "|" in body:
            return str(chance.choice(body.split("|")))
        slot = templates("slots").get(body)
        return str(chance.choice(slot)) if slot else f"\x01{body}\x02"

    while "{" in template:
        filled = _FIELD.sub(taken, template)
        if filled == template:
            break
        template = filled
    return template.translate(_KEPT)


def _filled(name: str, times: int, chance: random.Random, *, attack: bool) -> Iterator[Sample]:
    """Each template as often as it can be, `times` at most."""
    for family, lines in templates(name).items():
        for line in lines:
            for text in dict.fromkeys(fill(line, chance) for _ in range(times)):
                yield Sample(text, family, attack)


def _among(attack: str, benign: Sequence[str], chance: random.Random) -> str:
    """An attack by itself, after or within other texts."""
    where = chance.random()
    if where < 0.5:
        return attack
    before, after = chance.choice(benign), chance.choice(benign)
    space = chance.choice((" ", "\n", "\n\n"))
    if where < 0.7:
        return f"{before[-_BESIDE:]}{space}{attack}"
    return f"{before[-_BESIDE:]}{space}{attack}{space}{after[:_BESIDE]}"


def _several(benign: Sequence[str], chance: random.Random) -> str:
    """As much as a window holds, from anywhere in a longer text."""
    space = chance.choice((" ", "\n", "\n\n"))
    text = space.join(chance.choice(benign) for _ in range(chance.randint(2, 7)))
    start = chance.randrange(max(1, len(text) - _WINDOW))
    return text[start : start + _WINDOW]


def _dressed(text: str, chance: random.Random) -> str:
    """`text` as people type: sometimes in one case, sometimes with a slip."""
    dice = chance.random()
    if dice < 0.15:
        return text.lower()
    if dice < 0.2:
        return text.upper()
    if dice < 0.3 and len(text) > 12:
        place = chance.randrange(1, len(text) - 1)
        return text[:place] + text[place + 1 :]
    return text


def _document(benign: Sequence[Sample], chance: random.Random) -> list[str]:
    """Everyday lines, and a few that look like attacks."""
    everyday = [one.text for one in benign if one.family == "everyday"]
    lines = [chance.choice(benign).text for _ in range(_ALIKE)]
    while sum(map(len, lines)) < _DOCUMENT_LENGTH:
        lines.insert(chance.randrange(len(lines) + 1), chance.choice(everyday))
    return lines


def _infected(lines: Sequence[str], attack: str, chance: random.Random) -> Sample:
    place = chance.randrange(len(lines))
    return Sample("\n".join([*lines[:place], attack, *lines[place:]]), "embedded", attack=True)
