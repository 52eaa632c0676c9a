"""Rules: patterns with validators for their matches."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from patchbay.guards.rules.context import CANDIDATE, Near

# Says of a whole match whether it counts.
Validator = Callable[[str], bool]
# Characters before a match in which a rule looks for what must, or must not, be there. A stream keeps as many.
LOOK_BACK: Final = 200


class RuleMatch(Protocol):
    """The part of a match, of Python's `re` or of RE2, that rules judge it by."""

    @property
    def string(self) -> str: ...

    def start(self) -> int: ...

    def end(self) -> int: ...

    def __getitem__(self, group: int, /) -> str: ...


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
    within repeats: it is then matched by RE2, whose time is linear in the text; `near`: words of which one must be
    in the `LOOK_BACK` characters before a match, as a bare number says nothing; `scanned`: a pattern that scanners take
    in place of `pattern`, where one does for many rules: every beginning of a match must be one of its matches, too; `unless`: one that must not be
    found there; `confidence`: how sure a finding is, 0 to 1; `bare`: the same without `near`; `country`: by ISO 3166,
    of rules for one country; `examples`: texts in which it must be found; `others`: texts in which it must not.

    Text is folded before it is compared (see `fold`): look-alikes of ASCII are ASCII.
    """

    name: str
    kind: str
    pattern: str
    caseless: bool = False
    valid: Validator | None = None
    until: str | None = None
    given: bool = False
    near: Near | None = None
    scanned: str | None = None
    unless: re.Pattern[str] | None = None
    confidence: float = 0.9
    bare: float = 0.1
    country: str = ""
    examples: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def compiled(self) -> re.Pattern[str]:
        """The pattern, compiled by Python, with classes such as `\\w` limited to ASCII."""
        return re.compile(self.pattern, re.ASCII | (re.IGNORECASE if self.caseless else 0))

    def counts(self, match: RuleMatch) -> bool:
        """Says whether a match counts, by its own text and by what is before it."""
        if self.valid is not None and not self.valid(match[0]):
            return False
        if self.near is None and self.unless is None:
            return True
        before = match.string[max(0, match.start() - LOOK_BACK) : match.start()]
        if self.near is not None and self.near.pattern.search(before) is None and not self._is_named_after(match):
            return False
        return self.unless is None or self.unless.search(before) is None

    def _is_named_after(self, match: RuleMatch) -> bool:
        """Whether a word after a match names it. Only scanners that know of it hold what comes after."""
        if self.near is None or self.near.after is None or self.scanned != CANDIDATE:
            return False
        return self.near.after.match(match.string, match.end()) is not None
