"""Constructors of rules for vendors' tokens. Examples are joined from parts, so that no secret scanner takes them for
real."""

from typing import Final

from patchbay.guards.rules.rule import Rule, Validator

ANY: Final = "aB3dE6gH9jK2mN5p"
CAPITALS: Final = "Q3EGRXH7K2MN5PB4"
HEX: Final = "9f3a61c07be4d258"
SMALL: Final = "b3d6g7h2j4k5m6n2"
UUID: Final = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
A_UUID: Final = "9f3a61c0-7be4-4258-9f3a-61c07be4d258"


def token(name: str, pattern: str, example: str, other: str, valid: Validator | None = None) -> Rule:
    """Makes a rule for a token that can be told by its own form.

    `name`: the rule's; `pattern`: the token's; `example`: a text with such a token; `other`: one without; `valid`: the
    rule's validator.
    """
    return Rule(
        name=name, kind="SECRET", pattern=rf"\b(?:{pattern})", valid=valid, examples=(example,), others=(other,)
    )


def named(name: str, words: str, value: str, example: str, other: str) -> Rule:
    """Makes a rule for a value that can be told only by the name that it is assigned to.

    `name`: the rule's; `words`: a pattern of the names; `value`: a pattern of the value, which alone is the span;
    `example`: a text with such an assignment; `other`: one without.
    """
    pattern = rf"(?:{words})[\w.-]{{0,24}}[\"']?\s{{0,2}}(?:=>|:=|[:=])\s{{0,2}}[\"']?(?P<value>{value})\b"
    return Rule(name=name, kind="SECRET", pattern=pattern, caseless=True, examples=(example,), others=(other,))
