"""A reader of PromQL that is just good enough to find the names and labels in an expression."""

import re
from dataclasses import dataclass

_STRING = re.compile(r'"(?:\\.|[^"\\])*"')
_RANGE = re.compile(r"\[[^\]]*\]")
_LABELS = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_SELECTOR = re.compile(r"(?<![\w:.$])([a-zA-Z_:][\w:]*)\s*(\{[^}]*\}|\(?)")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_WORDS = frozenset({"and", "or", "unless", "offset", "bool", "group_left", "group_right", "inf", "nan"})


@dataclass(frozen=True, slots=True)
class Read:
    """What an expression asks for: each series with the labels that are matched, and the labels it groups by."""

    series: tuple[tuple[str, frozenset[str]], ...]
    labels: frozenset[str]

    @property
    def names(self) -> frozenset[str]:
        """The series' names."""
        return frozenset(name for name, _ in self.series)


def read(expression: str) -> Read:
    """What `expression` asks for."""
    bare = _RANGE.sub("", _STRING.sub('""', expression))
    grouped = frozenset(re.findall(r"\w+", " ".join(_LABELS.findall(bare))))
    series = [
        (name, frozenset(_MATCHER.findall(after)))
        for name, after in _SELECTOR.findall(_LABELS.sub("", bare))
        # Before a parenthesis it is a function or an aggregation.
        if after != "(" and name.lower() not in _WORDS and not name.startswith("__")
    ]
    return Read(tuple(series), grouped)
