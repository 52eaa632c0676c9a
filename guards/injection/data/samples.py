"""Samples made from templates: seeded, so the same every time. Held-out samples have templates of their own."""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

_FIELD: Final = re.compile(r"\{([^{}]*)\}")
# Stand-ins for braces that are no field, while the others are filled.
_KEPT: Final = str.maketrans({"\x01": "{", "\x02": "}"})
# Samples made of one template, by file.
_PER_ATTACK, _PER_BENIGN, _PER_HELD = 8, 8, 6
# Harmless training samples that are cut from several texts.
_SEVERAL: Final = 1700
# Lengths in characters: of such a cut, about what the classifier looks at together, and of the text beside an attack.
_WINDOW: Final = 240
_CONTEXT: Final = 120
# Held-out documents of each kind, their length in characters, and their lines that look like attacks.
_DOCUMENTS, _DOCUMENT_LENGTH, _ALIKE = 60, 2000, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A text with its label. `family`: the family of attacks, or of harmless texts, that it belongs to."""

    text: str
    family: str
    attack: bool


@cache
def templates(name: str) -> Mapping[str, Sequence[str]]:
    """Reads templates, or slots, by family. `name`: a file of this package, without its ending."""
    lines = (resources.files(__package__) / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    by_family: dict[str, list[str]] = {}
    family: list[str] | None = None
    for line in lines:
        if line.startswith("%% "):
            family = by_family.setdefault(line[3:], [])
        elif family is not None and line:
            family.append(line.replace("\\n", "\n"))
    return by_family


def training(seed: int = 0) -> list[Sample]:
    """Makes the training samples: some 3,000 texts of a few hundred characters at most."""
    chance = random.Random(seed)  # noqa: S311
    benign = list(_filled("benign", _PER_BENIGN, chance, attack=False))
    attacks = list(_filled("attacks", _PER_ATTACK, chance, attack=True))
    texts = [sample.text for sample in benign]
    samples = [
        Sample(text=_as_typed(_in_context(sample.text, texts, chance), chance), family=sample.family, attack=True)
        for sample in attacks
    ]
    samples += [Sample(text=_as_typed(sample.text, chance), family=sample.family, attack=False) for sample in benign]
    samples += [
        Sample(text=_as_typed(_several(texts, chance), chance), family="several", attack=False) for _ in range(_SEVERAL)
    ]
    return samples


def held_out(seed: int = 1) -> list[Sample]:
    """Makes the held-out samples: texts by themselves, and documents of some 2,000 characters with and without an
    attack."""
    chance = random.Random(seed)  # noqa: S311
    benign = list(_filled("held_benign", _PER_HELD, chance, attack=False))
    attacks = list(_filled("held_attacks", _PER_HELD, chance, attack=True))
    documents = [_document(benign, chance) for _ in range(2 * _DOCUMENTS)]
    clean = [Sample(text="\n".join(lines), family="document", attack=False) for lines in documents[:_DOCUMENTS]]
    infected = [_infected(lines, chance.choice(attacks).text, chance) for lines in documents[_DOCUMENTS:]]
    return [*attacks, *infected, *benign, *clean]


def fill(template: str, chance: random.Random) -> str:
    """Returns `template` with its choices made and its slots filled. Other braces stay."""

    def chosen(field: re.Match[str]) -> str:
        body = field[1]
        if "|" in body:
            return str(chance.choice(body.split("|")))
        slot = templates("slots").get(body)
        return str(chance.choice(slot)) if slot else f"\x01{body}\x02"

    while "{" in template:
        filled = _FIELD.sub(chosen, template)
        if filled == template:
            break
        template = filled
    return template.translate(_KEPT)


def _filled(name: str, times: int, chance: random.Random, *, attack: bool) -> Iterator[Sample]:
    """Yields the different texts of each template, at most `times` of each."""
    for family, lines in templates(name).items():
        for line in lines:
            for text in dict.fromkeys(fill(line, chance) for _ in range(times)):
                yield Sample(text=text, family=family, attack=attack)


def _in_context(attack: str, benign: Sequence[str], chance: random.Random) -> str:
    """Returns an attack by itself, after another text, or between two."""
    dice = chance.random()
    if dice < 0.5:
        return attack
    before, after = chance.choice(benign), chance.choice(benign)
    space = chance.choice((" ", "\n", "\n\n"))
    if dice < 0.7:
        return f"{before[-_CONTEXT:]}{space}{attack}"
    return f"{before[-_CONTEXT:]}{space}{attack}{space}{after[:_CONTEXT]}"


def _several(benign: Sequence[str], chance: random.Random) -> str:
    """Returns a window's length of text, from anywhere in a longer one."""
    space = chance.choice((" ", "\n", "\n\n"))
    text = space.join(chance.choice(benign) for _ in range(chance.randint(2, 7)))
    start = chance.randrange(max(1, len(text) - _WINDOW))
    return text[start : start + _WINDOW]


def _as_typed(text: str, chance: random.Random) -> str:
    """Returns `text` as people type: sometimes in one case, sometimes with a letter missing."""
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
    """Makes the lines of a document: everyday ones, and a few that look like attacks."""
    everyday = [sample.text for sample in benign if sample.family == "everyday"]
    lines = [chance.choice(benign).text for _ in range(_ALIKE)]
    while sum(map(len, lines)) < _DOCUMENT_LENGTH:
        lines.insert(chance.randrange(len(lines) + 1), chance.choice(everyday))
    return lines


def _infected(lines: Sequence[str], attack: str, chance: random.Random) -> Sample:
    place = chance.randrange(len(lines))
    return Sample(text="\n".join([*lines[:place], attack, *lines[place:]]), family="embedded", attack=True)
