"""Rules: patterns with validators for their matches."""

import re
from collections.abc import Callable
from dataclasses import dataclass

# Says of a whole match whether it counts.
Validator = Callable[[str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Describes one kind of thing to find.

    `name`: unique, in lower case with dashes; `kind`: the name that a redaction shows, in capitals (`EMAIL`);
    `pattern`: a regular expression of Python's without look-around, back-references and anchors other than `\\b`; where
    it has a group `value`, that group alone is the span, and the rest (a key, quotes) stays in the text;
    `caseless`: whether it ignores case; `valid`: whether a whole match counts, None where all do; `until`: a pattern
    that ends what `pattern` begins, for things without a bound (a private key's body): the span then lasts to the end
    of `until`'s match, or of the text; where `until` has a group `value`, it lasts to the end of that group, and where
    the group took no part in the match, only to its beginning; `given`: whether the rule comes from the configuration, and may have repeats
    within repeats: it is then matched by RE2, whose time is linear in the text; `examples`: texts in which it must be
    found; `others`: texts in which it must not.

    Text is folded before it is compared (see `fold`): look-alikes of ASCII are ASCII.
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
        """The pattern, compiled by Python, with classes such as `\\w` limited to ASCII."""
        return re.compile(self.pattern, re.ASCII | (re.IGNORECASE if self.caseless else 0))
