"""RE2 scanner: rule by rule and much slower, for machines that Hyperscan has no build for, and for tests.

Source: https://github.com/google/re2/wiki/Syntax
"""

from collections.abc import Collection, Sequence

import re2

from patchbay.core.errors import ConfigError
from patchbay.guards.rules.language import forward, parsed
from patchbay.guards.rules.rule import Rule
from patchbay.guards.scan.scanner import Expression, longest_run, run_at

# Bytes that RE2 may use for one expression.
_MEMORY = 64 << 20


class Re2Scanner:
    """A `Scanner` on RE2. Raises ConfigError for an expression that RE2 does not take."""

    def __init__(self, expressions: Sequence[Expression]) -> None:
        self._forward = [
            _compiled(expression.forward, caseless=expression.caseless, longest=False) for expression in expressions
        ]
        self._backward = [
            _compiled(prefixes, caseless=expression.caseless, longest=True)
            for expression in expressions
            for prefixes in expression.backward
        ]
        self._run = longest_run(expressions)

    def hits(self, text: str) -> Collection[int]:
        """Returns the rules that match; see `Scanner`."""
        return [number for number, pattern in enumerate(self._forward) if pattern.search(text) is not None]

    def live(self, backwards: str) -> int:
        """Returns the length of the end that may become a match; see `Scanner`."""
        matches = (pattern.match(backwards) for pattern in self._backward)
        run = run_at(backwards, self._run)
        return max((match.end() for match in matches if match is not None and match.end() > run), default=run)


def in_linear_time(rule: Rule) -> "re2._Regexp[str]":
    """Compiles a rule's own pattern for RE2: the same matches as Python's, in time linear in the text. Raises
    ConfigError."""
    nodes = parsed(rule.name, rule.pattern, caseless=rule.caseless)
    return _compiled(forward(nodes), caseless=rule.caseless, longest=False)


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
