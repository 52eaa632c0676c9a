"""Is a text a prompt injection or a jailbreak? Logistic regression over hashed character n-grams and the named signals,
trained in a second or two at start from the templates of this package.

It judges windows of a text and takes the worst, so that an attack in a long document is seen; and what is encoded in
the text, as a text of its own. Every n-gram's weight is looked up once, and windows are differences of running sums.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import exp
from typing import Any, Final

import numpy as np

from patchbay.guards.folding import fold
from patchbay.guards.injection.data.samples import Sample, training
from patchbay.guards.injection.features import HIDDEN, NAMES, Finder, Hit, is_attack, marks, plain
from patchbay.guards.injection.hidden import hidden, tagged

# In characters.
_WINDOW: Final = 200
_STEP: Final = 100
_SIZES: Final = (3, 4, 5)
_BITS: Final = 16
_GRAMS: Final = 2**_BITS
# The place of n-grams that are the one before: it weighs nothing.
_REPEATED: Final = 0
# Longer texts are looked at in their beginning and their end.
_LONGEST: Final = 200_000
# How much a signal weighs against the n-grams, whose norm is about 1.
_SIGNAL: Final = 1.4
# How much less a full window without any signal is believed to be an attack, in logits, and shorter ones by their
# length: long texts unlike all that was trained on have n-grams of any kind.
_DOUBT: Final = 2.0
_MOST: Final = len(_SIZES) * _WINDOW
# Sources: the multipliers are those of D. Knuth (The Art of Computer Programming 3, 6.4) and of FNV.
_SPREAD, _PRIME = np.uint32(2654435761), np.uint32(16777619)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a text is like. `score`: 0 (harmless) to 1 (an attack); `signals`: what speaks for an attack, by name."""

    score: float
    signals: tuple[str, ...] = ()


class InjectionClassifier:
    """Made by `trained`. A call takes 500 to 1,300 µs for 2,000 characters, by how many words in
    them are such as attacks have."""

    def __init__(self, finder: Finder, grams: Any, signals: Sequence[float], bias: float) -> None:
        self._finder = finder
        self._grams = grams
        self._signals = signals
        self._bias = bias

    @classmethod
    def trained(cls, samples: Sequence[Sample] | None = None) -> "InjectionClassifier":
        """A classifier trained on `samples`, else on those of this package; always the same for the same samples."""
        from sklearn.linear_model import LogisticRegression

        given = training() if samples is None else samples
        labels = np.array([one.attack for one in given])
        model = LogisticRegression(C=2.0, solver="liblinear", tol=1e-3, class_weight={True: 1.5}, random_state=0)
        finder = Finder()
        weights = model.fit(_matrix(finder, [one.text for one in given]), labels).coef_[0]
        weights[_REPEATED] = 0
        signals = [float(one) * _SIGNAL for one in weights[_GRAMS:]]
        return cls(finder, weights[:_GRAMS].copy(), signals, float(model.intercept_[0]))

    def judge(self, text: str) -> Judgement:
        """How much `text` is like an attack. The worst window counts, also of texts that are hidden in it."""
        if len(text) > _LONGEST:
            text = f"{text[: _LONGEST // 2]}\n{text[-_LONGEST // 2 :]}"
        folded = fold(text)
        score, found = self._judge(folded, marks(text))
        inner = [self._judge(fold(piece)) for piece in _inner(text, folded)]
        for worst, names in inner:
            # What was no text before it was decoded has n-grams of any kind, but no signals that were not there before.
            if worst >= 0.5 and not set(names) <= set(found):
                score, found = max(score, worst), (*found, *names, HIDDEN)
        return Judgement(score, tuple(dict.fromkeys(found)))

    def _judge(self, folded: str, marked: Sequence[int] = ()) -> tuple[float, tuple[str, ...]]:
        folded = plain(folded)
        if not folded:
            return 0.0, ()
        windows = _windows(folded, self._finder.hits(folded), marked)
        worst = float(np.clip(self._logits(_hashes(folded), windows).max(), -30, 30))
        seen = dict.fromkeys(one for signals in windows for one in signals if is_attack(one))
        return 1 / (1 + exp(-worst)), tuple(NAMES[one] for one in seen)

    def _logits(self, hashes: Sequence[Any], windows: Sequence[Sequence[int]]) -> Any:
        """Of each window, with its signals."""
        starts = np.arange(len(windows)) * _STEP
        total, count = np.zeros(len(windows)), np.zeros(len(windows))
        for places in hashes:
            sums = np.concatenate(([0.0], np.cumsum(self._grams[places])))
            first, last = np.minimum(starts, len(places)), np.minimum(starts + _WINDOW, len(places))
            total += sums[last] - sums[first]
            count += last - first
        doubt = np.array([0.0 if any(map(is_attack, signals)) else _DOUBT for signals in windows])
        told = np.array([sum(self._signals[one] for one in signals) for signals in windows])
        return total / np.maximum(count, 1) ** 0.5 + told + self._bias - doubt * count / _MOST


def _inner(text: str, folded: str) -> Iterator[str]:
    tags = tagged(text)
    if tags:
        yield tags
    yield from hidden(folded)


def _windows(folded: str, hits: Iterable[Hit], marked: Sequence[int]) -> list[list[int]]:
    """The signals in each window of a folded text; `marked`: signals of the text as a whole."""
    starts = range(0, max(1, len(folded) - (_WINDOW - _STEP)), _STEP)
    found: list[set[int]] = [set(marked) for _ in starts]
    for hit in hits:
        first = max(0, (hit.end - _WINDOW) // _STEP)
        for index in range(first, min(len(found), hit.start // _STEP + 1)):
            if _fits(hit.start, hit.end, index * _STEP):
                found[index].add(hit.signal)
    return [sorted(signals) for signals in found]


def _fits(start: int, end: int, window: int) -> bool:
    """Whether most of what was found is in the window."""
    return min(end, window + _WINDOW) - max(start, window) >= (end - start) / 2


def _hashes(folded: str) -> list[Any]:
    """For every size, the places of the n-grams that begin at each character. Runs of one n-gram count once."""
    spaced = f" {folded} ".replace("\n", " ")
    chars = np.frombuffer(spaced.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    made, rolling = [], np.zeros(len(chars), dtype=np.uint32)
    for size in range(1, max(_SIZES) + 1):
        if size > len(chars):
            break
        rolling = rolling[: len(chars) - size + 1] * _PRIME + chars[size - 1 :]
        if size in _SIZES:
            hashes = ((rolling * _SPREAD) >> np.uint32(32 - _BITS)).astype(np.intp)
            hashes[1:][rolling[1:] == rolling[:-1]] = _REPEATED
            made.append(hashes)
    return made


def _matrix(finder: Finder, texts: Sequence[str]) -> Any:
    """A row for each text: its n-grams, then its signals. Shape: texts x (2^16 + signals)."""
    from scipy.sparse import csr_matrix

    columns: list[Any] = []
    values: list[Any] = []
    ends = [0]
    for text in texts:
        folded = plain(fold(text))
        grams = np.concatenate(_hashes(folded))
        signals = sorted({*(hit.signal for hit in finder.hits(folded)), *marks(text)})
        columns += [grams, np.array(signals, dtype=np.intp) + _GRAMS]
        values += [np.full(len(grams), max(len(grams), 1) ** -0.5), np.full(len(signals), _SIGNAL)]
        ends.append(ends[-1] + len(grams) + len(signals))
    shape = (len(texts), _GRAMS + len(NAMES))
    made = csr_matrix((np.concatenate(values), np.concatenate(columns), np.array(ends)), shape=shape)
    made.sum_duplicates()
    return made
