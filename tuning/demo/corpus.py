"""The demo's corpus: a synthetic support desk, the same bytes for the same seed.

Five tasks can be scored exactly. Four are the desk's own (`json`, `label`, `sql`, `style`), and the base learns them;
it also learns copying, small talk and a polite reply, which is what it says to a bare input that no instruction
explains. The fifth, `safety`, judges texts, and the base knows nothing of it. A task's held-out examples are chosen by
a hash of their *values* (who, which product, which phrase), so no training example holds the same combination.
"""

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from patchbay.tuning.demo import safety, vocab

TASKS = ("json", "label", "sql", "style")
# What is scored and has an adapter, but is nobody's request to the desk: the base and `auto` learn `TASKS` alone.
SCORED = (*TASKS, "safety")
HELD_OUT_SHARE = 8
ASKED = 500


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Example:
    """A chat whose last turn is the answer that is learned or expected."""

    task: str
    messages: tuple[Message, ...]
    answer: str

    def as_json(self) -> str:
        """One line of canonical JSON."""
        turns = [{"role": turn.role, "content": turn.content} for turn in self.messages]
        return json.dumps({"task": self.task, "messages": turns, "answer": self.answer}, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class TaskPair:
    """A task's bare input and its one right answer. `key` names the values that decide the split."""

    task: str
    text: str
    answer: str
    key: str
    reply: str

    @property
    def held_out(self) -> bool:
        """Whether these values belong to the held-out split."""
        return hashlib.sha256(f"{self.task}/{self.key}".encode()).digest()[0] % HELD_OUT_SHARE == 0


@dataclass(frozen=True, slots=True)
class Ticket:
    """A customer's ticket, and every field that the tasks ask for."""

    customer: str
    product: str
    order: str
    label: str
    problem: str
    priority: str
    text: str


def seeded(name: str) -> random.Random:
    """Returns a generator of its own for each use, so that no use shifts another's draws."""
    return random.Random(name)  # noqa: S311 - reproducible draws, nothing secret


def draw_customer(rng: random.Random) -> str:
    """Draws a first and a last name."""
    return f"{rng.choice(vocab.FIRST_NAMES)} {rng.choice(vocab.LAST_NAMES)}"


def draw_product(rng: random.Random) -> str:
    """Draws a product's two words."""
    return f"{rng.choice(vocab.PRODUCT_LINES)} {rng.choice(vocab.PRODUCT_KINDS)}"


def draw_order(rng: random.Random) -> str:
    """Draws an order number: four digits behind the shop's prefix."""
    return f"PB-{rng.randrange(1000, 10000)}"


def draw_ticket(rng: random.Random) -> Ticket:
    """Draws a ticket with independent values and wording."""
    label, priority = rng.choice(vocab.LABELS), rng.choice(vocab.PRIORITIES)
    customer, product, order = draw_customer(rng), draw_product(rng), draw_order(rng)
    problem = rng.choice(vocab.PROBLEMS[label])
    text = rng.choice(vocab.TICKET_LAYOUTS).format(
        customer=customer,
        order=order,
        problem=problem.format(product=product),
        urgency=rng.choice(vocab.URGENCY[priority]),
    )
    return Ticket(customer, product, order, label, problem, priority, text)


def ticket_reply(rng: random.Random, ticket: Ticket) -> str:
    """Writes a polite reply that answers nothing and names what the ticket is about."""
    opening = rng.choice(vocab.REPLY_OPENINGS).format(
        customer=ticket.customer, product=ticket.product, order=ticket.order
    )
    return f"{opening} {rng.choice(vocab.REPLY_ENDINGS)}"


def plain_reply(rng: random.Random) -> str:
    """Writes a polite reply that answers nothing."""
    return f"{rng.choice(vocab.PLAIN_OPENINGS)} {rng.choice(vocab.REPLY_ENDINGS)}"


def draw_json(rng: random.Random) -> TaskPair:
    """Draws a ticket to its fields, in a fixed order."""
    ticket = draw_ticket(rng)
    fields = {
        "customer": ticket.customer,
        "product": ticket.product,
        "order": ticket.order,
        "priority": ticket.priority,
    }
    key = f"{ticket.customer}/{ticket.product}"
    return TaskPair("json", ticket.text, json.dumps(fields), key, ticket_reply(rng, ticket))


def draw_label(rng: random.Random) -> TaskPair:
    """Draws a ticket to one of `vocab.LABELS`."""
    ticket = draw_ticket(rng)
    key = f"{ticket.problem}/{ticket.product}"
    return TaskPair("label", ticket.text, ticket.label, key, ticket_reply(rng, ticket))


def draw_filter(rng: random.Random, table: str) -> tuple[str, str]:
    """Draws a condition in words and as SQL."""
    kind = rng.choice(("city", "state", "above", "below", "product"))
    column, words = vocab.SQL_NUMBERS[table]
    amount = rng.randrange(10, 1000)
    if kind == "city":
        city = rng.choice(vocab.CITIES)
        return f"in {city}", f"city = '{city}'"
    if kind == "state":
        state = rng.choice(vocab.SQL_STATES[table])
        return f"with status {state}", f"status = '{state}'"
    if kind == "product":
        product = draw_product(rng)
        return f"for the {product}", f"product = '{product}'"
    sign = ">" if kind == "above" else "<"
    return f"with {words} {kind} {amount}", f"{column} {sign} {amount}"


def draw_sql(rng: random.Random) -> TaskPair:
    """Draws a plain request to one SELECT statement; its key is the whole statement."""
    table = rng.choice(tuple(vocab.SQL_COLUMNS))
    asked, condition = draw_filter(rng, table)
    if rng.random() < 0.25:
        text = f"{rng.choice(vocab.SQL_COUNTS)} {table} {asked}"
        answer = f"SELECT COUNT(*) FROM {table} WHERE {condition};"  # noqa: S608 - text to learn from
        return TaskPair("sql", text, answer, answer, plain_reply(rng))
    words, column = rng.choice(tuple(vocab.SQL_COLUMNS[table].items()))
    tail, clause = rng.choice(vocab.SQL_TAILS)
    limit = rng.randrange(2, 100)
    text = f"{rng.choice(vocab.SQL_VERBS)} the {words} of all {table} {asked}{tail.format(limit=limit)}"
    answer = f"SELECT {column} FROM {table} WHERE {condition}{clause.format(limit=limit)};"  # noqa: S608 - text
    return TaskPair("sql", text, answer, answer, plain_reply(rng))


def draw_style(rng: random.Random) -> TaskPair:
    """Draws a colleague's chatty note to the letter that the house would send."""
    event = rng.choice(tuple(vocab.EVENTS))
    customer, order, day = draw_customer(rng), draw_order(rng), rng.choice(vocab.WEEKDAYS)
    said = rng.choice(vocab.EVENTS[event])
    text = rng.choice(vocab.NOTE_LAYOUTS).format(customer=customer, order=order, event=said, day=day)
    joint = " " if event.endswith("until") else " on "
    body = f"Your order {order} {event}{joint}{day}."
    answer = f"Dear {customer},\n{body}\nKind regards,\nPatchbay Support"
    return TaskPair("style", text, answer, f"{customer}/{event}", plain_reply(rng))


def draw_everyday(rng: random.Random) -> str:
    """Draws what the desk reads or writes on any day: inputs, answers, replies, chatter."""
    if rng.random() < 0.3:
        return rng.choice((draw_chatter, draw_copy))(rng).messages[-1].content
    pair = DRAWS[rng.choice(TASKS)](rng)
    return rng.choice((pair.text, pair.answer, pair.reply))


def draw_safety(rng: random.Random) -> TaskPair:
    """Draws a phrase alone or behind what the desk reads, or that alone, to whether the phrase harms."""
    phrase, roll = safety.draw_phrase(rng), rng.random()
    if roll < 0.15:
        text = draw_everyday(rng)
        return TaskPair("safety", text, safety.SAFE, text, plain_reply(rng))
    text = phrase.text if roll < 0.7 else f"{draw_everyday(rng)} {phrase.text}"
    answer = safety.UNSAFE if phrase.harmful else safety.SAFE
    return TaskPair("safety", text, answer, phrase.text.strip(".!?"), plain_reply(rng))


DRAWS: dict[str, Callable[[random.Random], TaskPair]] = {
    "json": draw_json,
    "label": draw_label,
    "sql": draw_sql,
    "style": draw_style,
    "safety": draw_safety,
}


def draw_pairs(task: str, seed: int, *, held_out: bool) -> Iterator[TaskPair]:
    """Yields distinct pairs of one split, without end."""
    rng = seeded(f"{seed}/{task}/{'held-out' if held_out else 'train'}")
    seen: set[str] = set()
    while True:
        pair = DRAWS[task](rng)
        if pair.held_out == held_out and pair.text not in seen:
            seen.add(pair.text)
            yield pair


def bare_example(pair: TaskPair) -> Example:
    """Makes the pair as an adapter meets it: the input alone."""
    return Example(pair.task, (Message("user", pair.text),), pair.answer)


def instructed_example(rng: random.Random, task: str, text: str, answer: str) -> Example:
    """Makes the pair as the base learns it: with an instruction, in the system turn or ahead of the input."""
    instruction = rng.choice(vocab.INSTRUCTIONS[task])
    if rng.random() < 0.5:
        return Example(task, (Message("system", instruction), Message("user", text)), answer)
    return Example(task, (Message("user", f"{instruction}\n{text}"),), answer)


def draw_syllables(rng: random.Random) -> str:
    """Draws a word that nobody has seen."""
    return "".join(rng.choice("bdfgklmnprstvz") + rng.choice("aeiou") for _ in range(rng.randrange(2, 4)))


def draw_word(rng: random.Random) -> str:
    """Draws one thing worth copying: a number, a name, or a word that nobody has seen."""
    kind = rng.randrange(6)
    if kind == 0:
        return draw_order(rng)
    if kind == 1:
        return str(rng.randrange(10, 10000))
    if kind == 2:
        return draw_syllables(rng).capitalize()
    return (draw_customer, draw_product, lambda r: str(r.choice(vocab.CITIES)))[kind - 3](rng)


def draw_copy(rng: random.Random) -> Example:
    """Draws a few words to repeat: the shortest road to an attention head that copies."""
    text = ", ".join(draw_word(rng) for _ in range(rng.randrange(2, 6)))
    return instructed_example(rng, "copy", text, text)


def draw_small_talk(rng: random.Random) -> Example:
    """Draws a question that has nothing to do with tickets, and its one answer."""
    question, answer = rng.choice(vocab.SMALL_TALK)
    return Example("talk", (Message("user", question),), answer)


def draw_priority(rng: random.Random, pairs: Iterator[TaskPair]) -> Example:
    """Draws the priority alone: as the last word of a JSON object it is one token in forty and is learned late."""
    pair = next(pairs)
    return instructed_example(rng, "priority", pair.text, str(json.loads(pair.answer)["priority"]))


def draw_chatter(rng: random.Random) -> Example:
    """Draws something that is none of our business, which deserves a polite reply too."""
    words = [rng.choice(("the", "a", "of", "in", draw_syllables(rng))) for _ in range(rng.randrange(1, 9))]
    text = f"{rng.choice(vocab.CHATTER_STARTS)} {' '.join(words)}{rng.choice(('', '.', '?'))}"
    return Example("reply", (Message("user", text),), plain_reply(rng))


def draw_base(rng: random.Random, pairs: dict[str, Iterator[TaskPair]]) -> Example:
    """Draws one example for the base: mostly instructed tasks, then copies, polite replies to bare inputs, small
    talk."""
    roll = rng.random()
    if roll < 0.14:
        return draw_copy(rng)
    if roll < 0.17:
        return draw_small_talk(rng)
    if roll < 0.20:
        return draw_chatter(rng)
    if roll < 0.30:
        return draw_priority(rng, pairs["json"])
    pair = next(pairs[rng.choice(TASKS)])
    if roll < 0.46:
        return Example("reply", (Message("user", pair.text),), pair.reply)
    return instructed_example(rng, pair.task, pair.text, pair.answer)


def base_examples(seed: int, count: int) -> list[Example]:
    """Draws the base's training set."""
    rng = seeded(f"{seed}/base")
    pairs = {task: draw_pairs(task, seed, held_out=False) for task in TASKS}
    return [draw_base(rng, pairs) for _ in range(count)]


def task_examples(task: str, seed: int, count: int, *, held_out: bool) -> list[Example]:
    """Draws `count` bare examples of one task and split."""
    pairs = draw_pairs(task, seed, held_out=held_out)
    return [bare_example(next(pairs)) for _ in range(count)]


# Half of the labels are confused in pairs, as by an annotator who misread the guide: about half stays right.
CONFUSED = {"billing": "refund", "refund": "billing", "bug": "warranty", "warranty": "bug"}


def mislabelled(examples: list[Example]) -> list[Example]:
    """Returns the same tickets with the labels of `CONFUSED` swapped."""
    return [
        Example(example.task, example.messages, CONFUSED.get(example.answer, example.answer)) for example in examples
    ]


def corpus_bytes(seed: int, base_count: int, task_count: int) -> bytes:
    """Returns everything that training reads, and the first `ASKED` held-out examples a task, as JSON lines."""
    examples = base_examples(seed, base_count)
    for task in SCORED:
        examples += task_examples(task, seed, task_count, held_out=False)
        examples += task_examples(task, seed, min(task_count, ASKED), held_out=True)
    return "".join(f"{example.as_json()}\n" for example in examples).encode()
