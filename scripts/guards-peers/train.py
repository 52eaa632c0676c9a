"""Small models of persons, places and organisations for spaCy, made of templates: a program for Presidio's own
environment.

No model of spaCy's is in the package index, and nothing is fetched from elsewhere. These know little more than the
templates do: they are for trying the way to Presidio and back, not for finding people. Usage: train.py FOLDER, which
gets `en` and `de`.
"""

import random
import sys
from pathlib import Path

import spacy
from spacy.training import Example

_SEED = 7
_SENTENCES, _ROUNDS = 250, 7
_FIRST = (
    "Anna Ben Clara David Elena Felix Grace Henry Ida Jonas Kate Leo Maria Noah Olga Paul Rosa Simon Tara "
    "Victor Wendy Yusuf J\u00fcrgen Ren\u00e9e"
)
_LAST = (
    "Smith Miller Schmidt Garcia Rossi Novak Jensen O'Brien M\u00fcller Weber Dubois Kowalski Tanaka "
    "Haddad Larsen Fischer Moreau Silva Becker Walker Young King"
)
_CITIES = "Berlin Paris Boston Vienna Madrid Oslo Dublin Lyon Hamburg Leeds Turin Graz"
_STREETS = ("Main Street", "Park Road", "Station Lane", "Hauptstra\u00dfe", "Lindenweg", "Marktplatz", "Rue de Rivoli")
_FIRMS = "Acme Globex Initech Umbrella Hooli Vandelay Wonka Stark"
_FORMS = "Group Partners Bank Holding"
_WORDS = {
    "en": (
        "The meeting begins at nine.",
        "Please send the report by Friday.",
        "He paid for it and left.",
        "It was found in the garden.",
        "That is all that we know.",
        "Nothing was said about the price.",
    ),
    "de": (
        "Die Besprechung beginnt um neun.",
        "Bitte schicken Sie den Bericht bis Freitag.",
        "Er zahlte und ging.",
        "Es wurde im Garten gefunden.",
        "Mehr wissen wir nicht.",
        "\u00dcber den Preis wurde nichts gesagt.",
    ),
}
_TEMPLATES = {
    "en": (
        "{P} lives in {L}.",
        "I met {P} and {P} yesterday.",
        "Please write to {P}, {L}.",
        "{P} works for {O}.",
        "It was found by {P}.",
        "She moved from {L} to {L} in May.",
        "Dear {P}, thank you.",
        "{O} is based in {L}.",
        "The letter from {P} came today.",
        "My name is {P} and I was born in {L}.",
        "He asked {P} about {O}.",
    ),
    "de": (
        "{P} wohnt in {L}.",
        "Gestern traf ich {P} und {P}.",
        "Bitte schreiben Sie an {P}, {L}.",
        "{P} arbeitet bei {O}.",
        "Es wurde von {P} gefunden.",
        "Sie zog im Mai von {L} nach {L}.",
        "Liebe {P}, vielen Dank.",
        "{O} sitzt in {L}.",
        "Ich hei\u00dfe {P} und bin in {L} geboren.",
    ),
}
_LABELS = {"P": "PERSON", "L": "LOCATION", "O": "ORGANIZATION"}


def filled(template, rng):
    """Returns a template with names in it, and the places of these."""
    text, places = "", []
    for part in template.split("{"):
        if part[1:2] == "}":
            name = named(part[0], rng)
            places.append((len(text), len(text) + len(name), _LABELS[part[0]]))
            text += name + part[2:]
        else:
            text += part
    return text, places


def named(what, rng):
    """Returns a name of a person, a place or an organisation."""
    if what == "P":
        return (
            f"{rng.choice(_FIRST.split())} {rng.choice(_LAST.split())}"
            if rng.random() < 0.85
            else rng.choice(_FIRST.split())
        )
    if what == "L":
        street = f"{rng.randint(1, 99)} {rng.choice(_STREETS)}"
        return rng.choice(_CITIES.split()) if rng.random() < 0.7 else street
    return f"{rng.choice(_FIRMS.split())} {rng.choice(_FORMS.split())}"


def trained(language, rng):
    """Returns a pipeline with a small model that was trained on templates."""
    nlp = spacy.blank(language)
    ner = nlp.add_pipe("ner")
    for label in _LABELS.values():
        ner.add_label(label)
    texts = [filled(rng.choice(_TEMPLATES[language]), rng) for _ in range(_SENTENCES)]
    texts += [(text, []) for text in _WORDS[language] for _ in range(_SENTENCES // 30)]
    # Two sentences at a time, as they are asked about.
    texts = [
        *texts[: _SENTENCES // 3],
        *(
            (f"{one} {two}", [*places, *((a + len(one) + 1, b + len(one) + 1, c) for a, b, c in more)])
            for (one, places), (two, more) in zip(texts, rng.sample(texts, len(texts)), strict=True)
        ),
    ]
    examples = [Example.from_dict(nlp.make_doc(text), {"entities": places}) for text, places in texts]
    optimizer = nlp.initialize(lambda: examples)
    for _ in range(_ROUNDS):
        rng.shuffle(examples)
        for start in range(0, len(examples), 32):
            nlp.update(examples[start : start + 32], sgd=optimizer, drop=0.2)
    return nlp


def main():
    """Runs the program."""
    spacy.util.fix_random_seed(_SEED)
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    for language in _TEMPLATES:
        trained(language, random.Random(_SEED)).to_disk(folder / language)  # noqa: S311


if __name__ == "__main__":
    main()
