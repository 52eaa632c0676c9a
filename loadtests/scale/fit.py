"""The times of an engine's operations, fitted to measurements of a real one (`loadtests.scale.measure`)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from patchbay.core.errors import ConfigError

SHIPPED = Path(__file__).with_name("fit.json")


@dataclass(frozen=True, slots=True)
class Fit:
    """The fitted times, in seconds.

    A step of decoding takes `step_s`, and `stream_s` more for each stream and `adapter_s` for each adapter in the
    batch; a token of a prompt takes `prompt_s`; an adapter takes `load_s` from the disk into host memory and a slot,
    `slot_s` from host memory into a slot. The engine stands still while it loads.
    """

    step_s: float
    stream_s: float
    adapter_s: float
    prompt_s: float
    load_s: float
    slot_s: float

    def decode_s(self, streams: int, adapters: int) -> float:
        """Returns how long a step takes that gives each of so many streams, of so many adapters, one token."""
        return self.step_s + self.stream_s * streams + self.adapter_s * adapters

    def tokens_per_s(self, streams: int, adapters: int, prompt_tokens: float, answer_tokens: float) -> float:
        """Answers' tokens a second from a batch that is always full, prompts of so many tokens each included."""
        a_step = self.decode_s(streams, adapters) + streams / answer_tokens * prompt_tokens * self.prompt_s
        return streams / a_step


def read_fit(path: Path = SHIPPED) -> Fit:
    """The fit in a file that `loadtests.scale.measure` wrote. Raises ConfigError where there is none."""
    try:
        return Fit(**json.loads(path.read_text())["fit"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} holds no fit: {error}") from error


def fit_steps(points: Sequence[Mapping[str, float]]) -> tuple[float, float, float]:
    """Fits `step_s`, `stream_s` and `adapter_s` by non-negative least squares.

    `points`: measurements with `streams`, `adapters` and `seconds`. Errors are relative to the measurement, so that a
    step of one stream counts as much as one of sixty. Source of the method: C. Lawson and R. Hanson, "Solving Least
    Squares Problems", 1974, chapter 23; with three unknowns the active set is found by trying all.
    """
    import numpy as np

    rows = np.array([(1.0, point["streams"], point["adapters"]) for point in points])
    took = np.array([point["seconds"] for point in points])
    best, least = np.zeros(3), float("inf")
    for kept in ([0, 1, 2], [0, 1], [0, 2], [1, 2], [0], [1], [2]):
        found = np.zeros(3)
        found[kept] = np.linalg.lstsq(rows[:, kept] / took[:, None], np.ones(len(took)), rcond=None)[0]
        off = float(np.sum((rows @ found / took - 1) ** 2))
        if found.min() >= 0 and off < least:
            best, least = found, off
    return float(best[0]), float(best[1]), float(best[2])
