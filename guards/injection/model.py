"""The classifier's weights: one file of the package, made by `python -m tools.injection train`.

Weights of n-grams are kept as whole numbers of eight bits, times a scale. The recipe beside the file says what it was
made from, and has its digest.
"""

import io
import json
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Any, Final

import numpy as np

from patchbay.core.errors import ConfigError

FILE: Final = "model.npz"
RECIPE: Final = "model.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectionModel:
    """The weights of the classifier. `grams`: of n-grams by hash; `signals`: of signals by their number; `bias`: in
    logits."""

    grams: Any
    signals: tuple[float, ...]
    bias: float


def encoded_model(model: InjectionModel) -> bytes:
    """Returns the bytes of the file that keeps `model`: the same ones for the same weights."""
    scale = float(np.abs(model.grams).max()) / 127 or 1.0
    file = io.BytesIO()
    np.savez_compressed(
        file,
        grams=np.round(model.grams / scale).astype(np.int8),
        scale=np.float64(scale),
        signals=np.array(model.signals),
        bias=np.float64(model.bias),
    )
    return file.getvalue()


def decoded_model(data: bytes) -> InjectionModel:
    """Returns the model that is kept in a file's bytes."""
    with np.load(io.BytesIO(data), allow_pickle=False) as kept:
        grams = kept["grams"].astype(np.float32) * np.float32(kept["scale"])
        return InjectionModel(grams=grams, signals=tuple(kept["signals"].tolist()), bias=float(kept["bias"]))


@cache
def shipped_model() -> InjectionModel:
    """Returns the model of this package. Raises ConfigError where its file is not the one that its recipe names."""
    folder = resources.files(__package__)
    data = (folder / FILE).read_bytes()
    recipe = json.loads((folder / RECIPE).read_text(encoding="utf-8"))
    if sha256(data).hexdigest() != recipe["sha256"]:
        raise ConfigError(
            f"The weights of the injection detector are not those of their recipe: {FILE} was changed or cut. Install "
            "Patchbay again, or make them anew: python -m tools.injection train."
        )
    return decoded_model(data)
