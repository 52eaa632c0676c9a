"""The same scanner on RE2, rule by rule: much slower, for machines that Hyperscan has no build for, and for tests.

Source: https://github.com/google/re2/wiki/Syntax
"""

from collections.abc import Collection, Sequence

import re2

from patchbay.core.errors import ConfigError
from patchbay.guards.rules.language import forward, parsed
from patchbay.guards.rules.rule import Rule
from patchbay.guards.scan.scanner import Expression

_MEMORY = 64 << 20


class Re2Scanner:
    """Raises ConfigError where RE2 takes an expression not."""

    def __init__(self, expressions: Sequence[Expression]) -> None:
        self._ahead = [_compiled(each.forward, caseless=each.caseless, longest=False) for each in expressions]
        self._back = [
            _compiled(one, caseless=each.caseless, longest=True) for each in expressions for one in each.backward
        ]

    def hits(self, text: str) -> Collection[int]:
        """As `Scanner` says."""
        return [number for number, pattern in enumerate(self._ahead) if pattern.search(text) is not None]

    def live(self, backwards: str) -> int:
        """As `Scanner` says."""
        found = (pattern.match(backwards) for pattern in self._back)
        return max((match.end() for match in found if match is not None), default=0)


def in_linear_time(rule: Rule) -> "re2._Regexp[str]":
    """The rule's own pattern, which finds the same matches as Python's, in a time that is linear in the text. Raises
    ConfigError."""
    return _compiled(forward(parsed(rule.name, rule.pattern)), caseless=rule.caseless, longest=False)


def _compiled(expression: str, *, caseless: bool, longest: bool) -> "re2._Regexp[str]":
    options = re2.Options()
    options.case_sensitive = not caseless
    options.longest_match = longest
    options.log_errors = False
    options.max_mem = _MEMORY
    options.never_nl = False
    try:
        return re2.compile(expression, options)
    except re2.error as error:
        raise ConfigError(f"The guards' rules could not be compiled: {error}.") from error
