"""The search for the few of many short texts in which something may match. Pure.

A request with tools has hundreds of names and descriptions, and a text costs some 30 microseconds by itself, however
short it is. So they are scanned together, and only where something matches apart.
"""

from collections.abc import Callable, Collection, Iterator, Sequence

# Characters of a text that is scanned together with others.
MOST_SHORT = 2048
_MOST_TOGETHER = 8192
# No letter, digit or space, so a text's beginning and end remain what they are to `\b` and to denied words.
_BETWEEN = "\n\x00\n"


def suspects(texts: Collection[str], may_match: Callable[[str], bool]) -> set[str]:
    """Returns those of `texts` in which something may match.

    `may_match`: whether it may in a text; it must not go by a text's length, nor by characters across `_BETWEEN`.
    """
    found: set[str] = set()
    waiting = list(_groups(texts))
    while waiting:
        group = waiting.pop()
        if not may_match(_BETWEEN.join(group)):
            continue
        if len(group) == 1:
            found.add(group[0])
        else:
            half = len(group) // 2
            waiting += [group[:half], group[half:]]
    return found


def _groups(texts: Collection[str]) -> Iterator[Sequence[str]]:
    group: list[str] = []
    length = 0
    for text in texts:
        if group and length + len(text) > _MOST_TOGETHER:
            yield group
            group, length = [], 0
        group.append(text)
        length += len(text) + len(_BETWEEN)
    if group:
        yield group
