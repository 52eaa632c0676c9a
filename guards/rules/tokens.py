"""Constructors of rules for vendors' tokens. Examples are joined from parts, so that no secret scanner takes them for
real."""

from typing import Final

from patchbay.guards.rules.rule import Rule, Validator
from patchbay.guards.rules.validators_secrets import token_like

ANY: Final = "aB3dE6gH9jK2mN5p"
CAPITALS: Final = "Q3EGRXH7K2MN5PB4"
HEX: Final = "9f3a61c07be4d258"
SMALL: Final = "b3d6g7h2j4k5m6n2"
UUID: Final = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
A_UUID: Final = "9f3a61c0-7be4-4258-9f3a-61c07be4d258"


def token(name: str, pattern: str, example: str, other: str, valid: Validator | None = None) -> Rule:
    """Makes a rule for a token that can be told by its own form.

    `name`: the rule's; `pattern`: the token's; `example`: a text with such a token; `other`: one without; `valid`: the
    rule's validator, by default one that leaves examples of one letter out.
    """
    return Rule(
        name=name,
        kind="SECRET",
        pattern=rf"\b(?:{pattern})",
        valid=valid or token_like,
        examples=(example,),
        others=(other,),
    )
