"""A rule: a pattern, and what else must be so for it to count."""

import re
from collections.abc import Callable
from dataclasses import dataclass

Validator = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """Something to be found. `name`: unique, in lower case with dashes; `kind`: what a redaction calls it, in capitals
    (`EMAIL`); `pattern`: a regular expression of Python's without look-around, anchors and back-references, with `\\b`
    alone; `caseless`: whether case counts for nothing; `valid`: says of a whole match whether it counts, None where
    all do; `until`: a pattern that ends what `pattern` begins, for what has no bound (a private key's body): the span
    then lasts to its end, or to the text's; `given`: whether it comes from the configuration, and may repeat repeats:
    it is matched by RE2 then, whose time is linear in the text; `examples`: texts in which it must be found, and `others`: in which not.

    Text is folded before it is compared (`fold`): what looks like ASCII is ASCII.
    """

    name: str
    kind: str
    pattern: str
    caseless: bool = False
    valid: Validator | None = None
    until: str | None = None
    given: bool = False
    examples: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def compiled(self) -> re.Pattern[str]:
        """The pattern as Python takes it: classes such as `\\w` are ASCII's."""
        return re.compile(self.pattern, re.ASCII | (re.IGNORECASE if self.caseless else 0))
