"""Injection classifier: logistic regression over hashed n-grams and named signals.

Its weights come with the package. It scores windows of a text and takes the worst, so that an attack in a long document
is seen. Texts encoded in the text are scored as texts of their own. A text is read in blocks, whole, whatever its
length.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import exp, log2
from typing import Any, Final

import numpy as np

from patchbay.guards.folding import fold
from patchbay.guards.injection.blocks import blocks
from patchbay.guards.injection.features import HIDDEN, NAMES, Finder, Hit, is_attack, plain
from patchbay.guards.injection.grams import grams
from patchbay.guards.injection.hidden import hidden, tagged
from patchbay.guards.injection.model import InjectionModel, shipped_model

# The distance between two windows, in characters; a window is two steps long.
STEP: Final = 100
WINDOW: Final = 2 * STEP
# The weight of a signal against the n-grams, whose norm is about 1.
SIGNAL: Final = 1.4
_HARMLESS: Final = -30.0
# A document of fewer windows is short; what each halving of their number adds to its logit. Chosen with the measured
# shares in sight (docs/guards.md), so that of short documents no more are mistaken than of all.
_FEW_WINDOWS: Final = 8
_EASE: Final = 0.7
# A text without letters says nothing.
_LETTER: Final = re.compile(r"[^\W\d_]")


@dataclass(frozen=True, slots=True)
class Judgement:
    """The judgement of a text. `score`: 0 (harmless) to 1 (an attack); `signals`: the names of signals of an attack;
    `is_whole`: whether all of the text was scored; `document_score`: the same as `score` for what anybody may have
    written: a short document has few windows that may be mistaken, so less is enough there."""

    score: float
    signals: tuple[str, ...] = ()
    is_whole: bool = True
    document_score: float = 0.0


class InjectionClassifier:
    """Scores texts for attacks. `model`: its weights, those of the package by default.

    A call takes some 1 to 2 ms for 2,000 characters, and longer the more words in them are typical of attacks.
    """

    def __init__(self, model: InjectionModel | None = None) -> None:
        self._model = model or shipped_model()
        self._finder = Finder()

    def judge(self, text: str, may_go_on: Callable[[], bool] = lambda: True) -> Judgement:
        """Scores `text`. The worst window counts, also that of a text hidden in it.

        `may_go_on`: asked before each block of some thousand characters; where it says no, the rest is not scored.
        """
        worst, signals, is_whole, windows = _HARMLESS, dict[str, None](), True, 0
        for scored, is_hidden in readings(text):
            if not may_go_on():
                is_whole = False
                break
            if _LETTER.search(scored) is None:
                continue
            hits = list(self._finder.hits(scored))
            logits = self._logits(scored, hits)
            logit, windows = float(logits.max()), windows + len(logits)
            worst = max(worst, logit)
            signals |= dict.fromkeys(
                NAMES[number] for number in sorted({hit.signal for hit in hits if is_attack(hit.signal)})
            )
            if is_hidden and logit >= 0:
                signals[HIDDEN] = None
        return Judgement(_score(worst), tuple(signals), is_whole, _score(worst + _eased(windows)))

    def logits(self, scored: str) -> Any:
        """Returns the logit of each window of a text that was made `plain`: one for each step, and one at least."""
        return self._logits(scored, list(self._finder.hits(scored)))

    def _logits(self, scored: str, hits: Iterable[Hit]) -> Any:
        places, hashes = grams(scored)
        steps = places // STEP
        number = count_windows(len(scored))
        cells = np.bincount(steps, weights=self._model.grams[hashes], minlength=number + 1)
        counts = np.bincount(steps, minlength=number + 1)
        total, count = _pairs(cells, number), _pairs(counts, number)
        weights = [sum(self._model.signals[signal] for signal in found) for found in window_signals(number, hits)]
        return total / np.maximum(count, 1) ** 0.5 + np.array(weights) + self._model.bias


def _score(logit: float) -> float:
    return 1 / (1 + exp(-min(logit, -_HARMLESS))) if logit > _HARMLESS else 0.0


def _eased(windows: int) -> float:
    """Returns what is added to the logit of a document of so many windows: nothing where it is long."""
    return _EASE * log2(_FEW_WINDOWS / windows) if 0 < windows < _FEW_WINDOWS else 0.0


def readings(text: str) -> Iterator[tuple[str, bool]]:
    """Yields the texts that `text` is scored as, made `plain`: its blocks, and what is hidden in them. With each comes
    whether it was hidden."""
    if tags := plain(fold(tagged(text))):
        yield tags, True
    for block in blocks(text):
        yield block.plain, False
        for said in hidden(block.folded):
            if scored := plain(fold(said)):
                yield scored, True


def count_windows(length: int) -> int:
    """Returns the number of windows of a text of `length` characters."""
    return max(1, -(-(length - STEP) // STEP))


def window_signals(number: int, hits: Iterable[Hit]) -> Sequence[Sequence[int]]:
    """Returns the signals in each of a text's windows, `number` in all, in order."""
    windows: list[set[int]] = [set() for _ in range(number)]
    for hit in hits:
        for index in _near(hit, number):
            # Half of a hit, or more, is in the window.
            if min(hit.end, index * STEP + WINDOW) - max(hit.start, index * STEP) >= (hit.end - hit.start) / 2:
                windows[index].add(hit.signal)
    return [sorted(signals) for signals in windows]


def _near(hit: Hit, number: int) -> Iterator[int]:
    yield from range(max(0, (hit.end - WINDOW) // STEP), min(number, hit.start // STEP + 1))


def _pairs(cells: Any, number: int) -> Any:
    return cells[:number] + cells[1 : number + 1]
