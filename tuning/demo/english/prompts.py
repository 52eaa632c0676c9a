"""The best prompts for the English tasks without an adapter: what to do, the exact form, and three examples."""

from patchbay.tuning.demo import vocab
from patchbay.tuning.demo.corpus import Example, Message
from patchbay.tuning.demo.english.corpus import english_examples

SHOTS = 3
_COLUMNS = "; ".join(f"{table}({', '.join(columns.values())})" for table, columns in vocab.SQL_COLUMNS.items())
INSTRUCTIONS = {
    "json": (
        "You extract data from support tickets. Answer with one JSON object and nothing else. Its keys, in this order: "
        "customer, product, order, priority. The priority is low, normal, high or urgent."
    ),
    "label": f"You label support tickets. Answer with one word and nothing else: {', '.join(vocab.LABELS)}.",
    "sql": (
        "You translate requests to SQL. Answer with one SELECT statement on one line, which ends with a semicolon, and "
        f"nothing else. The tables: {_COLUMNS}. Each also has city, status, product and created."
    ),
    "style": (
        "You turn notes into letters of four lines, and write nothing else: 'Dear NAME,' - 'Your order NUMBER EVENT on "
        "DAY.' - 'Kind regards,' - 'Patchbay Support'."
    ),
    "summary": (
        "You summarize support tickets in one sentence and write nothing else. Its form: NAME writes about SUBJECT "
        "(PRODUCT, ORDER)."
    ),
    "safety": "You judge whether a text harms anybody. Answer with one word and nothing else: safe or unsafe.",
}


def prompted(example: Example, seed: int) -> Example:
    """Puts the best prompt of its task before an example: an instruction, and three examples as turns."""
    shots = english_examples(example.task, seed, SHOTS, held_out=False)
    turns = [turn for shot in shots for turn in (*shot.messages, Message("assistant", shot.answer))]
    system = Message("system", INSTRUCTIONS[example.task])
    return Example(example.task, (system, *turns, *example.messages), example.answer)
