"""The rounding of a base that was read to what is stored, by one method; and the comparison of all methods."""

import copy
from collections.abc import Iterator
from typing import Any

import torch

from patchbay.core.errors import ConfigError
from patchbay.tuning.bases.gguf_file import ReadBase
from patchbay.tuning.bases.gptq import round_by_gptq
from patchbay.tuning.bases.importing import Method
from patchbay.tuning.bases.perplexity import calibration_rows, held_out_text, mean_nats
from patchbay.tuning.bases.quantize import Grid, Tensors, block_linears, int4_scheme, nearest_grid, pack, unpack
from patchbay.tuning.bases.writing import Stored
from patchbay.tuning.progress import ProgressSink


def stored_tensors(base: ReadBase, method: Method | None, progress: ProgressSink) -> Stored:
    """Rounds `base` in place to the weights that will serve, and returns them as they are stored."""
    if method is None:
        tensors = {name: value.bfloat16().contiguous() for name, value in distinct(base.model).items()}
        _load(base.model, {name: value.float() for name, value in tensors.items()})
        return Stored(tensors, None, ())
    linears = block_linears(base.model)
    _check_widths(linears, method.group_size)
    grids = rounded(base, method, progress)
    scheme = int4_scheme(method.group_size, symmetric=method.symmetric)
    tensors = pack(distinct(base.model), scheme, grids)
    _load(base.model, unpack(tensors, scheme))
    every = (name for name, module in base.model.named_modules() if isinstance(module, torch.nn.Linear))
    return Stored(tensors, scheme, tuple(name for name in every if name not in linears))


def rounded(base: ReadBase, method: Method, progress: ProgressSink) -> dict[str, Grid]:
    """Rounds the linear layers of `base` in place, and returns their grids by parameter."""
    scheme = int4_scheme(method.group_size, symmetric=method.symmetric)
    if method.rounding == "gptq":
        return round_by_gptq(base.model, calibration_rows(base.tokenizer), scheme, progress)
    linears = block_linears(base.model)
    progress.start("round to int4", len(linears))
    grids = {}
    for name, linear in linears.items():
        weight = linear.weight.data
        grid = grids[f"{name}.weight"] = nearest_grid(weight, scheme)
        linear.weight.data = grid.rounded(weight.reshape(len(weight), -1, method.group_size)).reshape(weight.shape)
        progress.advance()
    return grids


def compared(base: ReadBase, group_size: int, progress: ProgressSink) -> Iterator[tuple[str, float]]:
    """Yields the mean loss in nats a token on held-out text: of the base as it is, and by each method."""
    text = held_out_text()
    yield "as it is", mean_nats(base.model, base.tokenizer, text)
    for rounding in ("nearest", "gptq"):
        for symmetric in (True, False):
            method = Method(rounding=rounding, symmetric=symmetric, group_size=group_size)
            trial = ReadBase(copy.deepcopy(base.model), base.tokenizer, base.licence)
            stored_tensors(trial, method, progress)
            yield str(method), mean_nats(trial.model, trial.tokenizer, text)


def distinct(model: Any) -> Tensors:
    """Returns the model's tensors without those that are others' under a second name, such as a tied head."""
    found: Tensors = {}
    places: set[int] = set()
    for name, value in model.state_dict().items():
        if value.data_ptr() not in places:
            places.add(value.data_ptr())
            found[name] = value
    return found


def _load(model: Any, tensors: Tensors) -> None:
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name in tensors:
                value.copy_(tensors[name])


def _check_widths(linears: dict[str, torch.nn.Linear], group_size: int) -> None:
    for name, linear in linears.items():
        if linear.in_features % group_size:
            raise ConfigError(
                f"{name} has {linear.in_features} inputs, which groups of {group_size} do not divide.",
                hint="Choose another --group-size.",
            )
