"""Training of the injection classifier, with harmless windows that it took for attacks added in rounds.

The attacks are those of the templates, disguised and put between pieces of this machine's documents. The harmless texts
are those of the templates, and windows of the documents. Everything is drawn by a seed, so the same machine makes the
same weights.

Source of the rounds: K.-K. Sung and T. Poggio, "Example-based learning for view-based human face detection", 1998.
"""

import random
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from math import log
from typing import Any, Final

import numpy as np
from scipy.sparse import csr_matrix, vstack
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from patchbay.guards.folding import fold
from patchbay.guards.injection.classifier import SIGNAL, STEP, WINDOW, InjectionClassifier, readings
from patchbay.guards.injection.features import NAMES, Finder, plain
from patchbay.guards.injection.grams import GRAMS, REPEATED, grams
from patchbay.guards.injection.model import InjectionModel
from tools.injection.corpus import Document
from tools.injection.disguises import mistyped, placed, spelt, thinned
from tools.injection.prompts import prompts
from tools.injection.samples import Sample

# Windows of documents to begin with, and prompts that are cut from them.
_WINDOWS, _PROMPTS = 60_000, 12_000
# Rounds; windows that one round adds at most, of one document and in all; the logit from which they are added.
_ROUNDS, _OF_ONE, _OF_ALL, _LEAST = 3, 6, 40_000, -2.5
# The share of texts that are disguised, too, and the characters of one that are.
_SPELT, _SHORT = 0.35, 120
# The share of texts of which words are left out, too.
_THINNED: Final = 0.6
# Documents that a process looks at at a time.
_PART: Final = 200
SEED: Final = 0
# The inverse of the weight decay: chosen by the sources that thresholds are chosen by.
_STRENGTH: Final = 4.0
# The share of harmless prompts that may have a score of 0.5, and how many are drawn to see.
_MAY_BE_TAKEN, _CHOICE_PROMPTS = 0.007, 4000
_STEPS: Final = 60


class Rows:
    """The windows that a model is fitted to, as rows of a matrix, and whether each is of an attack."""

    def __init__(self) -> None:
        self._parts: list[Any] = []
        self.labels: list[bool] = []

    def add(self, texts: Iterable[str], *, attack: bool) -> None:
        """Adds windows, each once. `texts`: made plain."""
        chosen = list(dict.fromkeys(texts))
        if chosen:
            self._parts.append(_matrix(chosen))
            self.labels += [attack] * len(chosen)

    def matrix(self) -> Any:
        """Returns all rows."""
        return vstack(self._parts, format="csr")


def train(
    samples: Sequence[Sample], documents: Sequence[Document], seed: int = SEED, rounds: int = _ROUNDS
) -> InjectionModel:
    """Trains a model. `samples`: those of the templates; `documents`: harmless ones; `seed`: for all that is drawn."""
    chance = random.Random(seed)  # noqa: S311
    texts = [
        text for document in chance.sample(documents, min(len(documents), 4000)) if len(text := document.text()) > 200
    ]
    texts = texts or [one.text for one in samples if not one.attack]
    rows = Rows()
    rows.add(_attack_windows([one.text for one in samples if one.attack], texts, chance), attack=True)
    rows.add(_harmless_windows([one.text for one in samples if not one.attack], texts, chance), attack=False)
    model = fit(rows)
    shuffled = chance.sample(documents, len(documents))
    for number in range(rounds):
        asked = list(prompts(texts, _PROMPTS, chance))
        mistaken = [*_mistaken(model, shuffled[number::rounds]), *_mistaken(model, asked)]
        _tell(f"round {number}: {len(rows.labels)} windows, {len(mistaken)} are mistaken")
        rows.add(chance.sample(mistaken, min(_OF_ALL, len(mistaken))), attack=False)
        model = fit(rows)
    return model


def calibrated(model: InjectionModel, documents: Sequence[Document], seed: int = SEED) -> InjectionModel:
    """Returns a model of which 0.7% of harmless prompts have a score of 0.5 or more: of others it may be 1%.

    `documents`: prompts are cut from these, which it was not trained on.
    """
    classifier, chance = InjectionClassifier(model), random.Random(seed)  # noqa: S311
    texts = [text for document in documents if len(text := document.text()) > 100]
    scores = sorted(classifier.judge(prompt).score for prompt in prompts(texts, _CHOICE_PROMPTS, chance))
    place = scores[int((1 - _MAY_BE_TAKEN) * len(scores))]
    return replace(model, bias=model.bias - log(place / (1 - place)))


def fit(rows: Rows) -> InjectionModel:
    """Fits a model to windows."""
    regression = LogisticRegression(C=_STRENGTH, solver="lbfgs", max_iter=_STEPS, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        regression.fit(rows.matrix(), np.array(rows.labels))
    weights = regression.coef_[0]
    weights[REPEATED] = 0
    return InjectionModel(
        grams=weights[:GRAMS].astype(np.float32),
        signals=tuple((weights[GRAMS:] * SIGNAL).tolist()),
        bias=float(regression.intercept_[0]),
    )


def _attack_windows(attacks: Sequence[str], around: Sequence[str], chance: random.Random) -> Iterator[str]:
    """Yields windows of attacks: as they are, mistyped, between other texts, and as they are read out of a disguise."""
    for attack in attacks:
        yield from _windows(attack, attack, chance)
        twice = mistyped(attack, chance) if chance.random() < 0.3 else attack
        yield from _windows(placed(twice, around, chance), twice, chance)
        if chance.random() < _THINNED:
            thin = thinned(attack, chance)
            yield from _windows(thin, thin, chance)
        if chance.random() < _SPELT:
            yield from _read_again(attack[:_SHORT], chance)


def _read_again(attack: str, chance: random.Random) -> Iterator[str]:
    """Yields what is read out of a disguised attack, where it is that attack again: a disguise by itself is none."""
    words = set(plain(fold(attack)).split())
    for scored, _ in readings(spelt(attack, chance)):
        if len(words & set(scored.split())) >= len(words) / 2:
            yield scored[:WINDOW]


def _windows(text: str, attack: str, chance: random.Random) -> Iterator[str]:
    """Yields a window of `text` that has the most of `attack` in it."""
    scored = next((scored for scored, _ in readings(text)), "")
    core = next((core for core, _ in readings(attack)), "")
    place = max(0, scored.find(core[:30]))
    room = max(0, WINDOW - len(core))
    start = max(0, place - chance.randrange(room + 1))
    yield scored[start : start + WINDOW]
    if len(core) > WINDOW:
        yield core[-WINDOW:]


def _harmless_windows(harmless: Sequence[str], texts: Sequence[str], chance: random.Random) -> Iterator[str]:
    for text in [*harmless, *prompts(texts, _PROMPTS, chance)]:
        for scored, _ in readings(text):
            start = chance.randrange(max(1, len(scored) - WINDOW)) if chance.random() < 0.5 else 0
            yield scored[start : start + WINDOW]
            if chance.random() < _THINNED:
                yield thinned(scored[start : start + WINDOW], chance)
        if chance.random() < _SPELT:
            yield from (scored[:WINDOW] for scored, _ in readings(spelt(text[:_SHORT], chance)))
    for _ in range(_WINDOWS // 4):
        text = chance.choice(texts)
        start = chance.randrange(max(1, len(text) - 2000))
        for scored, _ in readings(text[start : start + 2000]):
            yield from chance.sample(
                [scored[at : at + WINDOW] for at in range(0, len(scored), STEP)], min(4, -(-len(scored) // STEP))
            )
            if chance.random() < _THINNED:
                yield thinned(scored[:WINDOW], chance)


def _mistaken(model: InjectionModel, harmless: Sequence[Document | str]) -> list[str]:
    parts = [harmless[at : at + _PART] for at in range(0, len(harmless), _PART)]
    with ProcessPoolExecutor(2) as pool:
        return [window for found in pool.map(partial(_mistaken_in, model), parts) for window in found]


def _mistaken_in(model: InjectionModel, harmless: Sequence[Document | str]) -> list[str]:
    classifier = InjectionClassifier(model)
    texts = (one if isinstance(one, str) else one.text() for one in harmless)
    return [window for text in texts for window in mistaken_windows(classifier, text)]


def mistaken_windows(classifier: InjectionClassifier, text: str) -> list[str]:
    """Returns the windows of a harmless text that look the most like attacks, at most six."""
    found = []
    for scored, _ in readings(text):
        logits = classifier.logits(scored)
        found += [(float(logits[at]), scored[at * STEP : at * STEP + WINDOW]) for at in np.flatnonzero(logits > _LEAST)]
    return [window for _, window in sorted(found, reverse=True)[:_OF_ONE]]


def _matrix(texts: Sequence[str]) -> Any:
    """Returns a row for each window: its n-grams, then its signals."""
    finder = Finder()
    columns: list[Any] = []
    values: list[Any] = []
    ends = [0]
    for text in texts:
        _, hashes = grams(text)
        signals = np.array(sorted({hit.signal for hit in finder.hits(text)}), dtype=np.intp)
        columns += [hashes.astype(np.int32), (signals + GRAMS).astype(np.int32)]
        values += [
            np.full(len(hashes), max(len(hashes), 1) ** -0.5, np.float32),
            np.full(len(signals), SIGNAL, np.float32),
        ]
        ends.append(ends[-1] + len(hashes) + len(signals))
    shape = (len(texts), GRAMS + len(NAMES))
    matrix = csr_matrix((np.concatenate(values), np.concatenate(columns), np.array(ends, np.int32)), shape=shape)
    matrix.sum_duplicates()
    return matrix


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")
