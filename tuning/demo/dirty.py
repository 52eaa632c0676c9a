"""A corpus of support tickets with planted dirt, and the truth about it: what a check must find, and no more.

The tickets are English mails to a shop; what is to be learnt is their fields as JSON. Names, orders and places are
invented. Dirt is planted at known rows: personal data and secrets, exact and near duplicates, leaks of a held-out set,
empty and cut answers, odd characters, contradictions, records that are no rows.
"""

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

_FIRST: Final = (
    "Svetlana",
    "Ivo",
    "Maren",
    "Tobias",
    "Aiko",
    "Ngozi",
    "Rafael",
    "Ines",
    "Oskar",
    "Leila",
    "Bram",
    "Yara",
)
_LAST: Final = ("Okonkwo", "Brandt", "Lindqvist", "Varga", "Tanaka", "Moreau", "Petrov", "Silva", "Haugen", "Kessler")
_MAKERS: Final = ("Lumenaut", "Brisk", "Noordvik", "Halcyon", "Terrano", "Quillon", "Ostara", "Pellworm")
_ITEMS: Final = (
    "desk lamp", "kettle", "headset", "office chair", "monitor arm", "coffee grinder", "rain jacket", "bicycle pump",
    "air purifier", "sleeping bag", "standing desk", "blender",
)  # fmt: skip
_PLACES: Final = ("Tromsø", "Ghent", "Porto", "Kraków", "Leeds", "Turku", "Graz", "Cork", "Malmö", "Split")
_PROBLEMS: Final[Mapping[str, Sequence[str]]] = {
    "damaged": (
        "it arrived with a crack along the side",
        "one of its legs was bent when I unpacked it",
        "the box was wet and the manual has mould on it",
        "the glass was in pieces inside the parcel",
    ),
    "late": (
        "it was promised for Friday and the tracking page has not moved since",
        "I have been waiting three weeks and nobody answers the phone",
        "the courier says that he never received the parcel from you",
        "the delivery date has been put off twice without a word",
    ),
    "wrong item": (
        "you sent me the grey one although I had ordered the green one",
        "the parcel holds somebody else's order, with their invoice",
        "the model in the box is last year's, not the one on the page",
        "it is the version for another voltage, which I cannot use",
    ),
    "refund": (
        "I returned it two weeks ago and the money has not come back",
        "I was charged twice for it, and want one of the payments back",
        "the voucher was not taken off the price, as the page had promised",
        "I cancelled it within the hour and was charged all the same",
    ),
}
_OPENINGS: Final = ("Hello,", "Good morning,", "Dear support team,", "Hi there,", "To whom it may concern,")
_CLOSINGS: Final = (
    "Please tell me what happens next.",
    "I would like to hear from you before the weekend.",
    "Could somebody look into this today?",
    "I have been a customer for years and expected better.",
    "Thank you for your help.",
)
_WISHES: Final = (
    "A replacement would be fine with me.",
    "I would rather have my money back.",
    "I can send photographs if you need them.",
    "My neighbour can take a parcel on weekdays.",
    "I have kept all of the packaging.",
    "Your colleague in the chat could not help me.",
)
SYSTEM: Final = "Turn the ticket into JSON with the fields name, order, product, place, problem and urgent."


@dataclass(frozen=True, slots=True)
class DirtyTickets:
    """Tickets with dirt. `lines`: of the raw JSONL file; `held_out`: lines of a clean set that evaluates, into which
    some of the rows leak; `truth`: by kind of dirt, the numbers of the raw file's lines that have it, from 1."""

    lines: Sequence[str]
    held_out: Sequence[str]
    truth: Mapping[str, frozenset[int]] = field(default_factory=dict)


def dirty_tickets(rows: int = 600, *, seed: int = 7) -> DirtyTickets:
    """Makes a corpus of `rows` raw records, at least 100. The same seed gives the same bytes."""
    dice = random.Random(seed)  # noqa: S311 - texts, no secrets
    held = [_ticket(dice, f"held-{number}") for number in range(max(20, rows // 10))]
    clean = [_ticket(dice, f"ticket-{number}") for number in range(rows)]
    truth: dict[str, set[int]] = {}
    lines: list[str] = []
    spots = _spots(dice, rows)
    # Each is copied once, so that copies are not of each other.
    originals = dice.sample(clean[: rows // 4 - 1], rows // 8), dice.sample(held, len(held))
    for number, ticket in enumerate(clean, 1):
        kind = spots.get(number)
        if kind is not None:
            truth.setdefault(kind, set()).add(number)
        lines.append(_line(kind, ticket, originals, dice))
    found = {kind: frozenset(numbers) for kind, numbers in truth.items()}
    return DirtyTickets(lines, [_dumped(ticket) for ticket in held], found)


def _ticket(dice: random.Random, name: str) -> dict[str, Any]:
    problem = dice.choice(tuple(_PROBLEMS))
    fields = {
        "name": f"{dice.choice(_FIRST)} {dice.choice(_LAST)}",
        "order": f"{dice.choice('ABCDEFGH')}{dice.randint(10000, 99999)}",
        "product": f"{dice.choice(_MAKERS)} {dice.choice(_ITEMS)}",
        "place": dice.choice(_PLACES),
        "problem": problem,
        "urgent": dice.random() < 0.3,
    }
    haste = "This is urgent, I need it by Monday." if fields["urgent"] else ""
    parts = [
        dice.choice(_OPENINGS),
        f"I ordered a {fields['product']} (order {fields['order']}) to be sent to {fields['place']}, and",
        f"{dice.choice(_PROBLEMS[problem])}.",
        *dice.sample(_WISHES, 2),
        haste,
        dice.choice(_CLOSINGS),
        f"{fields['name']}",
    ]
    body = " ".join(part for part in parts if part)
    return {"id": name, "system": SYSTEM, "prompt": body, "completion": json.dumps(fields, ensure_ascii=False)}


_SHARES: Final[Mapping[str, float]] = {
    "pii": 0.02,
    "secrets": 0.01,
    "duplicates": 0.02,
    "near-duplicates": 0.02,
    "evaluation": 0.02,
    "empty": 0.01,
    "cut": 0.01,
    "characters": 0.02,
    "contradictions": 0.01,
    "schema": 0.01,
}


def _spots(dice: random.Random, rows: int) -> Mapping[int, str]:
    """Chooses the lines that are dirty: none among the first, which others are copies of."""
    wanted = [kind for kind, share in _SHARES.items() for _ in range(max(1, round(rows * share)))]
    return dict(
        zip(sorted(dice.sample(range(rows // 4, rows + 1), len(wanted))), dice.sample(wanted, len(wanted)), strict=True)
    )


# Tickets that others are copies of: clean ones of the first quarter, and those held out.
Originals = tuple[list[dict[str, Any]], list[dict[str, Any]]]


def _line(kind: str | None, ticket: dict[str, Any], others: Originals, dice: random.Random) -> str:
    if kind is None:
        return _dumped(ticket)
    if kind == "schema":
        return dice.choice(['{"id": "broken", "prompt": "Hello', _dumped({"id": ticket["id"], "body": "no answer"})])
    return _dumped(_DIRT[kind](ticket, others, dice))


def _dumped(ticket: Mapping[str, Any]) -> str:
    return json.dumps(ticket, ensure_ascii=False)


def _with_pii(ticket: dict[str, Any], _: Originals, dice: random.Random) -> dict[str, Any]:
    mail = f"{ticket['id']}.{dice.randint(10, 99)}@example.org"
    said = dice.choice((f"Write to {mail}.", f"My card is 4111 1111 1111 1111, write to {mail}."))
    return {**ticket, "prompt": f"{ticket['prompt']} {said}"}


def _with_secret(ticket: dict[str, Any], _: Originals, dice: random.Random) -> dict[str, Any]:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    token = "ghp_" + "".join(dice.choice(letters) for _ in range(36))
    return {**ticket, "prompt": f"{ticket['prompt']} For the shop's API I use {token} if that helps."}


def _copied(ticket: dict[str, Any], others: Originals, _: random.Random) -> dict[str, Any]:
    return {**others[0].pop(), "id": ticket["id"]}


def _nearly_copied(ticket: dict[str, Any], others: Originals, _: random.Random) -> dict[str, Any]:
    original = others[0].pop()
    return {**original, "id": ticket["id"], "prompt": f"{original['prompt']} Regards.", "source": "resent"}


def _leaked(ticket: dict[str, Any], others: Originals, dice: random.Random) -> dict[str, Any]:
    original = others[1].pop()
    closing = dice.choice(("", " Best wishes."))
    return {**original, "id": ticket["id"], "prompt": f"{original['prompt']}{closing}"}


def _odd(ticket: dict[str, Any], _: Originals, dice: random.Random) -> dict[str, Any]:
    made: Sequence[Callable[[str], str]] = (
        lambda text: text.replace(" ordered ", " \u200bordered\u200b "),
        lambda text: f"{text} \ufffd",
        lambda text: text.replace("I ", "I\u0007 ", 1) + " It is the cafÃ© version.",
    )
    return {**ticket, "prompt": dice.choice(made)(ticket["prompt"])}


def _contradicting(ticket: dict[str, Any], others: Originals, _: random.Random) -> dict[str, Any]:
    original = others[0].pop()
    fields = json.loads(original["completion"])
    fields["urgent"] = not fields["urgent"]
    return {**original, "id": ticket["id"], "completion": json.dumps(fields, ensure_ascii=False)}


_DIRT: Final[Mapping[str, Callable[[dict[str, Any], Originals, random.Random], dict[str, Any]]]] = {
    "pii": _with_pii,
    "secrets": _with_secret,
    "duplicates": _copied,
    "near-duplicates": _nearly_copied,
    "evaluation": _leaked,
    "empty": lambda ticket, _others, _dice: {**ticket, "completion": "  "},
    "cut": lambda ticket, _others, _dice: {**ticket, "completion": ticket["completion"][:-20]},
    "characters": _odd,
    "contradictions": _contradicting,
}


def written(lines: Sequence[str]) -> Iterator[bytes]:
    """Yields the lines as a file has them."""
    return (f"{line}\n".encode() for line in lines)
