"""The wordings in which people ask the demo's desk for its tasks: texts for `auto` to learn from, and others to test
it.

A ticket alone does not tell whether its fields or its label are wanted, so those two are always asked for in words; a
bare ticket is taken to want its fields. The two splits have different wordings, and different values in them.
"""

from collections.abc import Sequence

from patchbay.tuning.demo.corpus import TASKS, draw_pairs, seeded

GENERAL = "general"
_LEARNT = {
    "json": (
        "Extract the fields of the ticket as JSON.",
        "Turn the ticket into a JSON object.",
        "Give me customer, product, order and priority as JSON.",
        "Which customer, product and order is this about? Reply in JSON.",
        "Pull the structured data out of this message.",
        "Parse this ticket into fields.",
        "JSON please:",
        "Make a JSON record of the following.",
    ),
    "label": (
        "Label the ticket.",
        "Answer with the label of the ticket.",
        "What kind of ticket is this? One word.",
        "Classify the following ticket.",
        "Which category does this belong to?",
        "Sort this message into one of our categories.",
        "Pick the label that fits best.",
        "Is this billing, refund, delivery, login, bug, feature, cancel or warranty?",
        "Tag this ticket with a single word.",
        "One word: what is this ticket about?",
    ),
    "sql": (
        "Write the SQL for the request.",
        "Answer with one SQL statement.",
        "Turn this question into a query.",
        "I need a SELECT for this:",
    ),
    "style": (
        "Rewrite the note in house style.",
        "Turn the note into a letter to the customer.",
        "Make this a polite letter.",
        "Please phrase this for the customer:",
    ),
}
_HELD_OUT = {
    "json": (
        "Answer with JSON: customer, product, order, priority.",
        "Return the ticket's data as a JSON object.",
        "Fields as JSON, please.",
    ),
    "label": (
        "Which label fits? One word.",
        "Give this ticket its label.",
        "What category is this ticket? Answer with one word.",
        "Classify this message with one label.",
    ),
    "sql": ("Translate the request to SQL.", "SQL query for:"),
    "style": ("Write this in the house style.", "Make a letter to the customer of this."),
}
# What the desk has no adapter for.
_OTHER = (
    "How do I grill a salmon?",
    "What is the gross domestic product of Brazil?",
    "Who wrote Faust?",
    "Give me advice for a job interview.",
    "My dog ate chocolate, what now?",
    "Write a limerick about a cow.",
    "Is Pluto a planet?",
    "I love hiking in the Alps.",
    "Explain how a rainbow forms.",
    "What is the fastest animal on land?",
    "Suggest a good name for my boat.",
    "How many strings does a cello have?",
    "Wo ist der nächste Bahnhof?",
    "Comment dit-on bonjour en italien ?",
    "What rhymes with orange?",
    "Tell me a bedtime story about a dragon.",
    "How do magnets work?",
    "Which language is spoken in Brazil?",
    "Can fish sleep?",
    "Give me a recipe for pancakes.",
    "What happened in the year 1066?",
    "Help me plan a garden with roses.",
    "Hey, what's up?",
    "Thank you so much!",
    "Who is the best football player of all time?",
    "How does a vaccine protect me?",
    "What is a black hole?",
    "Write a haiku about snow.",
    "I am bored, entertain me.",
    "Should I learn Rust or Go?",
    "What is the boiling point of water at sea level?",
    "Name three composers of the baroque period.",
    "How do I remove a coffee stain from a shirt?",
    "¿Dónde está la biblioteca?",
    "Describe the taste of a mango.",
    "Why do leaves change their colour in autumn?",
    "What are good stretches after running?",
    "Which planet has the most moons?",
    "Sing me a song about friendship.",
    "Is a tomato a fruit or a vegetable?",
)


def learnt_texts(task: str, seed: int, count: int) -> list[str]:
    """Draws `count` texts of a task, to learn from."""
    return _texts(task, _LEARNT[task], seed, count, held_out=False)


def held_out_texts(seed: int, count: int) -> list[tuple[str, str]]:
    """Draws `count` texts with their tasks, a fifth of them of no task, none of which was learnt."""
    share = count // 5
    found = [(task, text) for task in TASKS for text in _texts(task, _HELD_OUT[task], seed, share, held_out=True)]
    return found + [(GENERAL, _OTHER[place % len(_OTHER)]) for place in range(count - len(found))]


def _texts(task: str, wordings: Sequence[str], seed: int, count: int, *, held_out: bool) -> list[str]:
    rng, pairs = seeded(f"{seed}/asking/{task}/{held_out}"), draw_pairs(task, seed, held_out=held_out)
    found: list[str] = []
    for place in range(count):
        text = next(pairs).text
        # A label is never what a bare ticket asks for.
        bare = task != "label" and place % 2
        found.append(text if bare else f"{rng.choice(wordings)}\n{text}")
    return found
