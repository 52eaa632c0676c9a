"""Blocks of a long text: it is read piece by piece, so that no single call takes long and memory stays bounded."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from patchbay.guards.folding import fold
from patchbay.guards.injection.features import plain

# Characters of a piece, and of the longest one, which a text without white space has: a pattern that looks through it
# keeps Python's lock to the end, for some milliseconds.
_PIECE, _MOST = 8192, 16_384
# Characters at a block's end that the next one begins with: more than a window, and than the reach of any signal.
OVERLAP: Final = 480
_GAP = re.compile(r"\s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block of a text. `folded`: its piece, folded, in its own case; `plain`: the text that is scored, which begins
    with the end of the block before."""

    folded: str
    plain: str


def blocks(text: str) -> Iterator[Block]:
    """Yields the blocks of a text. What was made plain overlaps, so nothing can be stretched over an edge by characters
    without width or by white space."""
    carried = ""
    for piece in _pieces(text):
        folded = fold(piece)
        space = "\n" if folded[:1] == "\n" else " " if folded[:1].isspace() else ""
        scored = plain(folded)
        whole = f"{carried}{space}{scored}" if carried and scored else carried + scored
        if scored:
            yield Block(folded=folded, plain=whole)
            carried = whole[-OVERLAP:]
        elif space and carried:
            carried = f"{carried.rstrip()}{space}"


def _pieces(text: str) -> Iterator[str]:
    """Yields pieces that end before white space, where there is some within reach."""
    start = 0
    while start < len(text):
        gap = _GAP.search(text, start + _PIECE, start + _MOST)
        end = gap.start() if gap else min(len(text), start + _MOST)
        yield text[start:end]
        start = end
