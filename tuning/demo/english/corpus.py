"""The corpora of the English tasks: the same texts for the same seed, held-out ones with values of their own."""

import hashlib
import random
from collections.abc import Callable, Iterator

from patchbay.tuning.demo import safety, vocab
from patchbay.tuning.demo.corpus import Example, Message, seeded
from patchbay.tuning.demo.english.tickets import draw_fields, draw_label, draw_letter, draw_summary, draw_ticket
from patchbay.tuning.demo.english.values import Values, is_held_out

ENGLISH_TASKS = ("json", "label", "sql", "style", "summary", "safety")


def draw_condition(values: Values, table: str) -> tuple[str, str]:
    """Draws a condition in words and as SQL."""
    rng = values.rng
    # A state is no value of a split, so nothing that is held out asks for it.
    kinds = ("city", "city", "above", "below", "product", *(() if values.held_out else ("state",)))
    kind = rng.choice(kinds)
    if kind == "city":
        city = values.city()
        return rng.choice((f"in {city}", f"from {city}")), f"city = '{city}'"
    if kind == "state":
        state = rng.choice(vocab.SQL_STATES[table])
        return rng.choice((f"with status {state}", f"whose status is {state}")), f"status = '{state}'"
    if kind == "product":
        product = values.product()
        return rng.choice((f"for the {product}", f"about the {product}")), f"product = '{product}'"
    column, words = vocab.SQL_NUMBERS[table]
    amount = values.number(10, 1000)
    sign = ">" if kind == "above" else "<"
    return f"with {words} {kind} {amount}", f"{column} {sign} {amount}"


def draw_query(values: Values) -> tuple[str, str]:
    """Draws a plain request and its one SELECT statement."""
    rng = values.rng
    table = rng.choice(tuple(vocab.SQL_COLUMNS))
    asked, condition = draw_condition(values, table)
    if rng.random() < 0.25:
        text = f"{rng.choice(vocab.SQL_COUNTS)} {table} {asked}"
        return text, f"SELECT COUNT(*) FROM {table} WHERE {condition};"  # noqa: S608 - text to learn from
    words, column = rng.choice(tuple(vocab.SQL_COLUMNS[table].items()))
    tail, clause = rng.choice(vocab.SQL_TAILS)
    limit = values.number(2, 100)
    text = f"{rng.choice(vocab.SQL_VERBS)} the {words} of all {table} {asked}{tail.format(limit=limit)}"
    return text, f"SELECT {column} FROM {table} WHERE {condition}{clause.format(limit=limit)};"  # noqa: S608 - text


def draw_judged(values: Values) -> tuple[str, str]:
    """Draws a text and whether it harms: a phrase of this split, alone or behind a ticket or a note."""
    rng = values.rng
    if rng.random() < 0.15:
        return rng.choice((draw_ticket(values).text, draw_letter(values)[0], draw_query(values)[0])), safety.SAFE
    while True:
        phrase = safety.draw_phrase(rng)
        if is_held_out(phrase.text.strip(".!?")) == values.held_out:
            break
    text = phrase.text if rng.random() < 0.8 else f"{draw_letter(values)[0]} {phrase.text}"
    return text, safety.UNSAFE if phrase.harmful else safety.SAFE


DRAWS: dict[str, Callable[[Values], tuple[str, str]]] = {
    "json": draw_fields,
    "label": draw_label,
    "sql": draw_query,
    "style": draw_letter,
    "summary": draw_summary,
    "safety": draw_judged,
}


def draw_pairs(task: str, seed: int, *, held_out: bool) -> Iterator[tuple[str, str]]:
    """Yields distinct inputs of one split with their answers, without end."""
    rng: random.Random = seeded(f"{seed}/english/{task}/{'held-out' if held_out else 'train'}")
    values, seen = Values(rng, held_out), set[str]()
    while True:
        text, answer = DRAWS[task](values)
        if text not in seen:
            seen.add(text)
            yield text, answer


def english_examples(task: str, seed: int, count: int, *, held_out: bool) -> list[Example]:
    """Draws `count` examples of one task and split."""
    pairs = draw_pairs(task, seed, held_out=held_out)
    drawn = (next(pairs) for _ in range(count))
    return [Example(task, (Message("user", text),), answer) for text, answer in drawn]


def english_digest(seed: int, count: int) -> str:
    """Computes the SHA-256 in hex of the first `count` examples of each task and split."""
    digest = hashlib.sha256()
    for task in ENGLISH_TASKS:
        for held_out in (False, True):
            for example in english_examples(task, seed, count, held_out=held_out):
                digest.update(f"{example.as_json()}\n".encode())
    return digest.hexdigest()
