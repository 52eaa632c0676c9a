"""A constructor of rules for numbers of people and firms of one country."""

from typing import NotRequired, TypedDict, Unpack

from patchbay.guards.rules.context import APART, CANDIDATE, Near
from patchbay.guards.rules.rule import Rule, Validator


class PaperFields(TypedDict):
    """Fields of a `Rule` that rules for papers set themselves."""

    examples: tuple[str, ...]
    others: tuple[str, ...]
    valid: NotRequired[Validator]
    near: NotRequired[Near]
    kind: NotRequired[str]
    caseless: NotRequired[bool]


def paper(name: str, pattern: str, **fields: Unpack[PaperFields]) -> Rule:
    """Makes a rule for a number that stands apart from others.

    `name`: the rule's, which begins with the country's code of ISO 3166; `pattern`: the number's; `fields`: those of
    the rule. It ignores case by itself.
    """
    given = {"kind": "NATIONAL_ID", "caseless": True, **fields}
    named = given["kind"] == "NATIONAL_ID"
    return Rule(
        name=f"id-{name}" if named else name,
        pattern=rf"\b(?:{pattern})\b",
        unless=APART,
        confidence=0.9 if "valid" in given else 0.7,
        country=name[:2].upper(),
        scanned=CANDIDATE if "near" in given else None,
        **given,  # type: ignore[arg-type]
    )
