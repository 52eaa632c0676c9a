"""Tickets in English, and the tasks on them: their fields, their label, a summary in one line."""

import json
import random
from dataclasses import dataclass

from patchbay.tuning.demo import vocab
from patchbay.tuning.demo.english.values import Values

OPENINGS = (
    "Hi there, ",
    "Hello, ",
    "Good morning, ",
    "Dear support team, ",
    "Hi, I hope you are well. ",
    "To whom it may concern: ",
    "",
)
ASIDES = (
    "I bought it as a present for my sister.",
    "I have been a customer for years and never had a problem before.",
    "Your colleague on the phone could not help me.",
    "I already looked at the help pages.",
    "I live on the third floor, if that matters.",
    "My neighbour has the same one and is happy with it.",
    "I am away next week, so mail is better than the phone.",
    "The weather here is awful, by the way.",
)
LAYOUTS = (
    "{opening}{problem}. {aside} The order number is {order}. {urgency}\n\nKind regards,\n{customer}",
    "{opening}my name is {customer} and I am writing about order {order}. {problem}. {aside} {urgency}",
    "{opening}{problem}. {urgency} {aside}\nOrder: {order}\nName: {customer}",
    "Subject: order {order}\n\n{opening}{problem}. {aside} {urgency}\n{customer}",
    "{opening}this is {customer}. {aside} {problem}. You can look it up under {order}. {urgency}",
    "From: {customer}\nRe: {order}\n{problem}. {urgency} {aside}",
    "{opening}{urgency} {problem}. My order was {order}. {aside} Thanks, {customer}",
)
NOUNS = {
    "billing": "a wrong bill",
    "shipping": "a delivery that has not come",
    "refund": "a refund",
    "login": "an account that cannot be opened",
    "bug": "a fault in the software",
    "feature": "a wish for a new feature",
    "cancel": "a cancellation",
    "warranty": "a repair under warranty",
}


@dataclass(frozen=True, slots=True)
class EnglishTicket:
    """A customer's ticket, and every field that the tasks ask for."""

    customer: str
    product: str
    order: str
    label: str
    priority: str
    text: str


def draw_ticket(values: Values) -> EnglishTicket:
    """Draws a ticket with independent values and wording."""
    rng = values.rng
    label, priority = rng.choice(vocab.LABELS), rng.choice(vocab.PRIORITIES)
    customer, product, order = values.customer(), values.product(), values.order()
    text = rng.choice(LAYOUTS).format(
        opening=rng.choice(OPENINGS),
        problem=rng.choice(vocab.PROBLEMS[label]).format(product=product),
        aside=rng.choice(ASIDES) if rng.random() < 0.6 else "",
        order=order,
        urgency=rng.choice(vocab.URGENCY[priority]),
        customer=customer,
    )
    return EnglishTicket(customer, product, order, label, priority, tidy(text))


def tidy(text: str) -> str:
    """Removes the spaces that an empty part of a layout leaves."""
    return "\n".join(" ".join(line.split()) for line in text.split("\n")).strip()


def draw_fields(values: Values) -> tuple[str, str]:
    """Draws a ticket and its fields, as JSON in a fixed order."""
    ticket = draw_ticket(values)
    fields = {name: getattr(ticket, name) for name in ("customer", "product", "order", "priority")}
    return ticket.text, json.dumps(fields)


def draw_label(values: Values) -> tuple[str, str]:
    """Draws a ticket and its label."""
    ticket = draw_ticket(values)
    return ticket.text, ticket.label


def draw_summary(values: Values) -> tuple[str, str]:
    """Draws a ticket and its summary in one line."""
    ticket = draw_ticket(values)
    return ticket.text, f"{ticket.customer} writes about {NOUNS[ticket.label]} ({ticket.product}, {ticket.order})."


def draw_letter(values: Values) -> tuple[str, str]:
    """Draws a colleague's chatty note and the letter that the house would send."""
    rng: random.Random = values.rng
    event = rng.choice(tuple(vocab.EVENTS))
    customer, order, day = values.customer(), values.order(), rng.choice(vocab.WEEKDAYS)
    said = rng.choice(vocab.EVENTS[event])
    note = rng.choice(vocab.NOTE_LAYOUTS).format(customer=customer, order=order, event=said, day=day)
    joint = " " if event.endswith("until") else " on "
    return note, f"Dear {customer},\nYour order {order} {event}{joint}{day}.\nKind regards,\nPatchbay Support"
