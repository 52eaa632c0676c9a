"""Samples made from templates: seeded, so the same every time. Held-out samples have templates of their own.

A family is called by its style, and then by its language where that is not English.
"""

import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

_CASES: Final = Path(__file__).parents[2] / "tests" / "redteam" / "cases"
# The share of a case's runs of three words that a sample may have, too.
MOST_ALIKE: Final = 0.5
_FOLDER: Final = Path(__file__).parent / "templates"
ATTACKS: Final = ("attacks", "attacks_more", "attacks_world", "attacks_slots")
BENIGN: Final = ("benign", "benign_more", "benign_world", "benign_slots")
_FIELD: Final = re.compile(r"\{([^{}]*)\}")
# Stand-ins for braces that are no field, while the others are filled.
_KEPT: Final = str.maketrans({"\x01": "{", "\x02": "}"})
# Samples made of one template, by file.
_PER_ATTACK, _PER_BENIGN, _PER_HELD = 24, 24, 6
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
    lines = (_FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    by_family: dict[str, list[str]] = {}
    family: list[str] | None = None
    for line in lines:
        if line.startswith("%% "):
            family = by_family.setdefault(line[3:], [])
        elif family is not None and line:
            family.append(line.replace("\\n", "\n"))
    return by_family


def templates_digest() -> str:
    """Returns the digest of all templates: a model's recipe has it."""
    files = sorted(_FOLDER.glob("*.txt"))
    return sha256(b"".join(file.name.encode() + file.read_bytes() for file in files)).hexdigest()


def training(seed: int = 0) -> list[Sample]:
    """Makes the training samples from the templates: texts of a few hundred characters at most."""
    chance = random.Random(seed)  # noqa: S311
    benign = [one for name in BENIGN for one in _filled(name, _PER_BENIGN, chance, attack=False)]
    attacks = [one for name in ATTACKS for one in _filled(name, _PER_ATTACK, chance, attack=True)]
    apart = [one for one in [*attacks, *benign] if not _is_alike(one)]
    return [replace(one, text=_as_typed(one.text, chance)) for one in apart]


def runs(text: str) -> frozenset[tuple[str, ...]]:
    """Returns the runs of three words of a text."""
    words = re.findall(r"\w+", text.casefold())
    return frozenset(zip(words, words[1:], words[2:], strict=False))


@cache
def _cases() -> Mapping[tuple[str, ...], Sequence[frozenset[tuple[str, ...]]]]:
    """Returns the runs of each case of `tests/redteam`, by each of its runs."""
    by_run: dict[tuple[str, ...], list[frozenset[tuple[str, ...]]]] = {}
    for file in sorted(_CASES.glob("*.jsonl")):
        for line in filter(None, file.read_text(encoding="utf-8").split("\n")):
            of_case = runs(json.loads(line)["text"])
            for run in of_case:
                by_run.setdefault(run, []).append(of_case)
    return by_run


def _is_alike(sample: Sample) -> bool:
    """Whether a sample is much like a case that the detector is judged by: then it is not trained on."""
    of_sample = runs(sample.text)
    alike = (of_case for run in of_sample for of_case in _cases().get(run, ()))
    return any(len(of_case & of_sample) >= MOST_ALIKE * len(of_case) for of_case in alike)


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
        slot = templates("slots").get(body) or templates("slots_world").get(body)
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
