"""Injection classifier: logistic regression over hashed character n-grams and named signals.

It is trained at start, in a second or two, from the templates of this package. It scores windows of a text and takes
the worst, so that an attack in a long document is seen. Texts encoded in the text are scored as texts of their own.
Every n-gram's weight is looked up once, and windows are differences of running sums.
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

# The length of a window and the distance between two, in characters.
_WINDOW: Final = 200
_STEP: Final = 100
# Lengths of n-grams, in characters; they are hashed to so many bits.
_SIZES: Final = (3, 4, 5)
_BITS: Final = 16
_GRAMS: Final = 2**_BITS
# The hash of an n-gram that is the same as the one before it: its weight is 0.
_REPEATED: Final = 0
# Characters of a text that are scored; of a longer one, its beginning and its end.
_LONGEST: Final = 200_000
# The weight of a signal against the n-grams, whose norm is about 1.
_SIGNAL: Final = 1.4
# Subtracted from a full window without any signal, in logits, and from a shorter one by its length: long texts unlike
# the training data have n-grams of any kind.
_DOUBT: Final = 2.0
_FULL_WINDOW_GRAMS: Final = len(_SIZES) * _WINDOW
# Sources: the multipliers are those of D. Knuth (The Art of Computer Programming 3, 6.4) and of FNV.
_SPREAD, _PRIME = np.uint32(2654435761), np.uint32(16777619)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The judgement of a text. `score`: 0 (harmless) to 1 (an attack); `signals`: the names of signals of an attack."""

    score: float
    signals: tuple[str, ...] = ()


class InjectionClassifier:
    """Scores texts for attacks. Made by `trained`.

    A call takes 500 to 1,300 µs for 2,000 characters, depending on how many words in them are typical of attacks.
    `finder`: finds signals; `grams`: the weights of n-grams by hash, shape (2^16,); `signals`: the weights of signals;
    `bias`: in logits.
    """

    def __init__(self, finder: Finder, grams: Any, signals: Sequence[float], bias: float) -> None:
        self._finder = finder
        self._grams = grams
        self._signals = signals
        self._bias = bias

    @classmethod
    def trained(cls, samples: Sequence[Sample] | None = None) -> "InjectionClassifier":
        """Trains a classifier on `samples`, or on those of this package: always the same one for the same samples."""
        from sklearn.linear_model import LogisticRegression

        chosen = training() if samples is None else samples
        labels = np.array([sample.attack for sample in chosen])
        model = LogisticRegression(C=2.0, solver="liblinear", tol=1e-3, class_weight={True: 1.5}, random_state=0)
        finder = Finder()
        weights = model.fit(_matrix(finder, [sample.text for sample in chosen]), labels).coef_[0]
        weights[_REPEATED] = 0
        signals = [float(weight) * _SIGNAL for weight in weights[_GRAMS:]]
        return cls(finder, weights[:_GRAMS].copy(), signals, float(model.intercept_[0]))

    def judge(self, text: str) -> Judgement:
        """Scores `text`. The worst window counts, also that of a text hidden in it."""
        if len(text) > _LONGEST:
            text = f"{text[: _LONGEST // 2]}\n{text[-_LONGEST // 2 :]}"
        folded = fold(text)
        score, signals = self._judge(folded, marks(text))
        inner = [self._judge(fold(piece)) for piece in _hidden_texts(text, folded)]
        for worst, names in inner:
            # Bytes that decode to no real text have n-grams of any kind: only with new signals is a hidden text
            # believed.
            if worst >= 0.5 and not set(names) <= set(signals):
                score, signals = max(score, worst), (*signals, *names, HIDDEN)
        return Judgement(score, tuple(dict.fromkeys(signals)))

    def _judge(self, folded: str, marked: Sequence[int] = ()) -> tuple[float, tuple[str, ...]]:
        folded = plain(folded)
        if not folded:
            return 0.0, ()
        windows = _windows(folded, self._finder.hits(folded), marked)
        worst = float(np.clip(self._logits(_hashes(folded), windows).max(), -30, 30))
        attacks = dict.fromkeys(signal for signals in windows for signal in signals if is_attack(signal))
        return 1 / (1 + exp(-worst)), tuple(NAMES[signal] for signal in attacks)

    def _logits(self, hashes: Sequence[Any], windows: Sequence[Sequence[int]]) -> Any:
        """Returns the logit of each window. `hashes`: by size of n-gram; `windows`: the signals of each window."""
        starts = np.arange(len(windows)) * _STEP
        total, count = np.zeros(len(windows)), np.zeros(len(windows))
        for places in hashes:
            sums = np.concatenate(([0.0], np.cumsum(self._grams[places])))
            first, last = np.minimum(starts, len(places)), np.minimum(starts + _WINDOW, len(places))
            total += sums[last] - sums[first]
            count += last - first
        doubt = np.array([0.0 if any(map(is_attack, signals)) else _DOUBT for signals in windows])
        weights = np.array([sum(self._signals[signal] for signal in signals) for signals in windows])
        return total / np.maximum(count, 1) ** 0.5 + weights + self._bias - doubt * count / _FULL_WINDOW_GRAMS


def _hidden_texts(text: str, folded: str) -> Iterator[str]:
    tags = tagged(text)
    if tags:
        yield tags
    yield from hidden(folded)


def _windows(folded: str, hits: Iterable[Hit], marked: Sequence[int]) -> list[list[int]]:
    """Returns the signals in each window of a folded text. `marked`: signals of the text as a whole, which all have."""
    starts = range(0, max(1, len(folded) - (_WINDOW - _STEP)), _STEP)
    windows: list[set[int]] = [set(marked) for _ in starts]
    for hit in hits:
        first = max(0, (hit.end - _WINDOW) // _STEP)
        for index in range(first, min(len(windows), hit.start // _STEP + 1)):
            if _fits(hit.start, hit.end, index * _STEP):
                windows[index].add(hit.signal)
    return [sorted(signals) for signals in windows]


def _fits(start: int, end: int, window: int) -> bool:
    """Whether half of a hit, or more, is in the window that starts at `window`."""
    return min(end, window + _WINDOW) - max(start, window) >= (end - start) / 2


def _hashes(folded: str) -> list[Any]:
    """Returns, for every size, the hashes of the n-grams that begin at each character. A run of one n-gram counts
    once."""
    spaced = f" {folded} ".replace("\n", " ")
    chars = np.frombuffer(spaced.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    by_size, rolling = [], np.zeros(len(chars), dtype=np.uint32)
    for size in range(1, max(_SIZES) + 1):
        if size > len(chars):
            break
        rolling = rolling[: len(chars) - size + 1] * _PRIME + chars[size - 1 :]
        if size in _SIZES:
            hashes = ((rolling * _SPREAD) >> np.uint32(32 - _BITS)).astype(np.intp)
            hashes[1:][rolling[1:] == rolling[:-1]] = _REPEATED
            by_size.append(hashes)
    return by_size


def _matrix(finder: Finder, texts: Sequence[str]) -> Any:
    """Returns a row for each text: its n-grams, then its signals. Shape: texts x (2^16 + signals)."""
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
    matrix = csr_matrix((np.concatenate(values), np.concatenate(columns), np.array(ends)), shape=shape)
    matrix.sum_duplicates()
    return matrix
