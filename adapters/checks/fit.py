"""The check that a LoRA's pairs fit the base's modules."""

import difflib
from collections.abc import Iterable
from pathlib import Path

from patchbay.adapters.checks.base import BaseLayout, Shape
from patchbay.adapters.checks.config import LoraSettings
from patchbay.adapters.checks.strict_json import shown
from patchbay.adapters.checks.structure import LoraPair
from patchbay.adapters.contents import WEIGHTS_FILE
from patchbay.core.errors import AdapterError

_HINT = "Check that the adapter was trained for this base model."


def check_fit(pairs: Iterable[LoraPair], settings: LoraSettings, base: BaseLayout, folder: Path) -> None:
    """Checks `pairs` against `base`; `folder`: the adapter's, for messages.

    Raises AdapterError where a module of `pairs` is not in the base, or where its sizes are others.
    """
    for pair in pairs:
        if not pair.fused_experts:
            _check_pair(pair, settings, base, folder / WEIGHTS_FILE)


def _check_pair(pair: LoraPair, settings: LoraSettings, base: BaseLayout, path: Path) -> None:
    name = base.find(pair.module)
    if name is None:
        raise AdapterError(
            f"{path}: the tensor {shown(pair.a.name)} is for a module that the base model has not"
            f"{_nearest(pair.module, base.modules)}.",
            hint=_HINT,
        )
    if (shape := base.modules[name]) is not None:
        _check_sizes(pair, shape, settings, path)


def _check_sizes(pair: LoraPair, shape: Shape, settings: LoraSettings, path: Path) -> None:
    # A linear layer's weight is [out, in]; an embedding's, and that of GPT-2's Conv1D, is [in, out].
    outputs, inputs = reversed(shape) if pair.embedding or settings.transposed else shape
    rank = pair.a.shape[0]
    for tensor, expected in ((pair.a, (rank, inputs)), (pair.b, (outputs, rank))):
        if tensor.shape != expected:
            raise AdapterError(
                f"{path}: the tensor {shown(tensor.name)} has the shape {list(tensor.shape)}, expected "
                f"{list(expected)}, since the base model's {pair.module} takes {inputs} and gives {outputs}.",
                hint=_HINT,
            )


def _nearest(name: str, names: Iterable[str]) -> str:
    # A short slice of both: the comparison takes time that grows with the square of their lengths.
    candidates = [candidate for candidate in names if len(candidate) <= 200][:5000]
    found = difflib.get_close_matches(name[:200], candidates, n=1, cutoff=0.3)
    return f" (nearest: {found[0]})" if found else ""
