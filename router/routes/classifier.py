"""The classifier of `auto`: finds the task of a text by logistic regression over hashed character n-grams, trained in a
second from a few examples.

Linear models over character n-grams are strong and fast for short texts (W. B. Cavnar and J. M. Trenkle, "N-gram-based
text categorization", SDAIR 1994). There is one model per task, against all other tasks and a background of everyday
texts, so that a text of no task is unlike all of them. Each is calibrated by Platt's method on texts that it was not
trained on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np

from patchbay.core.errors import ConfigError
from patchbay.router.routes.examples import too_few

# Characters that are read: a text's task shows at its beginning or at its end, and the cost grows with the length.
_HEAD, _TAIL = 280, 120
_FEATURES = 2**16
_FOLDS = 3


@dataclass(frozen=True, slots=True)
class Guess:
    """The guess for a text. `confidence`: in its task, from 0 to 1; `scores`: of each task, the best first."""

    task: str
    confidence: float
    scores: tuple[tuple[str, float], ...]


class Classifier:
    """Guesses the tasks of texts. It is made by `train`; a guess takes some 300 µs."""

    def __init__(self, *, tasks: Sequence[str], vectorizer: Any, weights: Any, biases: Any) -> None:
        self._tasks = tasks
        self._vectorizer = vectorizer
        self._weights = weights
        self._biases = biases

    @classmethod
    def train(cls, examples: Mapping[str, Sequence[str]]) -> "Classifier":
        """Trains a classifier of the tasks in `examples`, each with at least 6 texts. It takes about a second.

        Raises ConfigError where there are too few texts.
        """
        for task, given in examples.items():
            if (few := too_few(given)) is not None:
                raise ConfigError(f"auto.examples.{task}: {few}.")
        from sklearn.feature_extraction.text import HashingVectorizer

        vectorizer = HashingVectorizer(
            analyzer="char_wb", ngram_range=(2, 4), n_features=_FEATURES, dtype=np.float32, alternate_sign=False
        )
        texts = [(task, clip(text)) for task, given in examples.items() for text in dict.fromkeys(given)]
        texts += [("", line) for line in background()]
        matrix = vectorizer.transform([text for _, text in texts])
        labels = np.array([task for task, _ in texts])
        tasks = tuple(examples)
        fitted = [_fit(matrix, labels == task) for task in tasks]
        weights = np.stack([weight for weight, _ in fitted], axis=1).astype(np.float32)
        return cls(tasks=tasks, vectorizer=vectorizer, weights=weights, biases=np.array([bias for _, bias in fitted]))

    def guess(self, text: str) -> Guess:
        """Guesses the task of `text`."""
        row = self._vectorizer.transform([clip(text)])
        logits = row.data @ self._weights[row.indices] + self._biases
        scores = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
        ranked = sorted(zip(self._tasks, scores.tolist(), strict=True), key=lambda score: -score[1])
        return Guess(ranked[0][0], ranked[0][1], tuple(ranked))


def clip(text: str) -> str:
    """Returns the part of `text` that is looked at: its beginning and its end."""
    text = " ".join(text.split()) if len(text) < 4 * _HEAD else text
    return text if len(text) <= _HEAD + _TAIL else f"{text[:_HEAD]} {text[-_TAIL:]}"


def background() -> list[str]:
    """Returns everyday texts of no task."""
    lines = (resources.files("patchbay.router.routes") / "background.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _fit(matrix: Any, is_task: Any) -> tuple[Any, float]:
    """Fits a calibrated model of one task. Returns its weights and bias.

    Source of the calibration: J. Platt, "Probabilistic outputs for support vector machines", 1999: a logistic curve
    over held-out scores, with his smoothed targets.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    def model() -> Any:
        return LogisticRegression(C=30.0, class_weight="balanced", max_iter=300)

    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    scores = cross_val_predict(model(), matrix, is_task, cv=folds, method="decision_function")
    slope, shift = _platt(scores, is_task)
    fitted = model().fit(matrix, is_task)
    return fitted.coef_[0] * slope, float(fitted.intercept_[0] * slope + shift)


def _platt(scores: Any, is_task: Any) -> tuple[float, float]:
    from scipy.optimize import minimize

    yes, no = int(is_task.sum()), int((~is_task).sum())
    target = np.where(is_task, (yes + 1) / (yes + 2), 1 / (no + 2))

    def loss(at: Any) -> float:
        logits = at[0] * scores + at[1]
        return float(np.mean(np.logaddexp(0, logits) - target * logits))

    found = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead")
    return max(float(found.x[0]), 1e-3), float(found.x[1])
