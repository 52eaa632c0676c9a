"""The persons and addresses that the corpus draws: names of many countries, names made of syllables, so that copying is
learnt and not a list, and addresses as six languages write them."""

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

# Lists of words by their names: `first`, `last`, and the `starts`, `middles` and `ends` of names that are made.
_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    key: tuple(words.split())
    for key, _, words in (
        line.partition(":") for line in (Path(__file__).parent / "words.txt").read_text("utf-8").splitlines()
    )
}
_PLACES: Final[Mapping[str, tuple[str, ...]]] = {
    "en": ("Manchester", "Glasgow", "Austin", "Denver", "Toronto", "Dublin", "Cardiff", "Sydney"),
    "de": ("Köln", "Leipzig", "Dortmund", "Bremen", "Graz", "Basel", "Mainz", "Ulm"),
    "fr": ("Lille", "Toulouse", "Bordeaux", "Grenoble", "Genève", "Reims", "Angers", "Metz"),
    "es": ("Bilbao", "Granada", "Murcia", "Vigo", "Alicante", "Bogotá", "Lima", "Toledo"),
    "it": ("Verona", "Padova", "Bari", "Parma", "Modena", "Pisa", "Udine", "Ancona"),
    "pt": ("Braga", "Aveiro", "Évora", "Recife", "Curitiba", "Salvador", "Leiria", "Natal"),
}
_EN_STREETS: Final = ("Street", "Road", "Avenue", "Lane", "Drive", "Court", "Place", "Way", "Square", "Terrace", "Hill")
_DE_STREETS: Final = ("straße", "weg", "gasse", "allee", "platz", "ring", "ufer", "damm")
_FR_STREETS: Final = ("rue", "avenue", "boulevard", "place", "allée", "quai", "chemin", "impasse")
_ES_STREETS: Final = ("calle", "avenida", "plaza", "paseo", "camino", "ronda", "travesía")
_IT_STREETS: Final = ("via", "viale", "piazza", "corso", "largo", "vicolo", "lungarno")
_PT_STREETS: Final = ("rua", "avenida", "praça", "travessa", "largo", "estrada", "alameda")


def made_word(rng: random.Random) -> str:
    """Draws a word of two or three syllables that no list holds."""
    middle = rng.choice(_WORDS["middles"]) if rng.random() < 0.6 else ""
    return rng.choice(_WORDS["starts"]) + middle + rng.choice(_WORDS["ends"])


def _first(rng: random.Random) -> str:
    return rng.choice(_WORDS["first"]) if rng.random() < 0.6 else made_word(rng)


def _last(rng: random.Random) -> str:
    return rng.choice(_WORDS["last"]) if rng.random() < 0.5 else made_word(rng)


def draw_person(rng: random.Random) -> str:
    """Draws a person's name, in one of the forms in which people write one."""
    first, last = _first(rng), _last(rng)
    forms = (
        (30, f"{first} {last}"),
        (22, first),
        (8, f"{first[0]}. {last}"),
        (6, f"{last}, {first}"),
        (8, f"{first} {last}-{_last(rng)}"),
        (6, f"{first} {rng.choice(('de', 'van', 'von', 'Mac', 'al'))} {last}"),
        (5, f"{first} {last}".lower()),
        (5, last),
    )
    return rng.choices([form for _, form in forms], [weight for weight, _ in forms])[0]


def draw_address(language: str, rng: random.Random) -> str:
    """Draws an address as `language` writes it: a street and a number, half of the time with a code and a town."""
    street = _STREET[language](rng)
    if rng.random() < 0.45:
        return street
    town = rng.choice(_PLACES[language]) if rng.random() < 0.6 else made_word(rng)
    if language == "en":
        return f"{street}, {town}" if rng.random() < 0.5 else f"{street}, {town} {rng.randrange(10000, 99999)}"
    code = f"{rng.randrange(1000, 9999)}-{rng.randrange(100, 999)}" if language == "pt" else rng.randrange(10000, 99999)
    return f"{street}, {code} {town}"


def _number(rng: random.Random) -> str:
    return f"{rng.randrange(1, 240)}{rng.choice(('', '', '', '', 'a', 'b'))}"


def _named(rng: random.Random) -> str:
    return made_word(rng) if rng.random() < 0.6 else rng.choice(_WORDS["last"])


def _behind(kinds: tuple[str, ...], joint: str, *, number_first: bool) -> Callable[[random.Random], str]:
    """Returns what draws a street whose kind stands before its name. `joint`: between them, such as ` de `."""

    def draw(rng: random.Random) -> str:
        street = f"{rng.choice(kinds)}{rng.choice((' ', joint))}{_named(rng)}"
        return f"{_number(rng)} {street}" if number_first else f"{street} {_number(rng)}"

    return draw


def _english(rng: random.Random) -> str:
    flat = rng.choice(("", "", "", "Flat 2, ", "Apt 5, ", "Unit 9, "))
    return f"{flat}{_number(rng)} {_named(rng)} {rng.choice(_EN_STREETS)}"


def _german(rng: random.Random) -> str:
    kind = rng.choice(_DE_STREETS)
    street = f"{_named(rng)}{kind}" if rng.random() < 0.7 else f"{_named(rng)}-{kind.capitalize()}"
    return f"{street} {_number(rng)}"


_STREET: Final[Mapping[str, Callable[[random.Random], str]]] = {
    "en": _english,
    "de": _german,
    "fr": _behind(_FR_STREETS, " de ", number_first=True),
    "es": _behind(_ES_STREETS, " de ", number_first=False),
    "it": _behind(_IT_STREETS, " di ", number_first=False),
    "pt": _behind(_PT_STREETS, " de ", number_first=False),
}
