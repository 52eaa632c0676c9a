"""The writer of the new base's folder: its weights, one parameter at a time, and all else that an engine reads."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from patchbay.adapters.checks.safetensors import header_of, size_of
from patchbay.adapters.checks.strict_json import shown
from patchbay.adapters.contents import TEMPLATE_FILE, TOKENIZER_FILE
from patchbay.adapters.fold.arithmetic import changed
from patchbay.adapters.fold.checkpoint import CONFIG, BaseCheckpoint, dtype_of, load_torch, read_tensor, unpacked
from patchbay.adapters.fold.plan import FoldPlan, PlannedParameter
from patchbay.adapters.fold.trained import Trained
from patchbay.core.disk import sync
from patchbay.core.errors import AdapterError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
# Weights of any kind, and what says how they are sharded or quantized: the new base has its own.
_WEIGHTS = re.compile(
    r".*\.(safetensors|safetensors\.index\.json|bin|bin\.index\.json|pt|pth|ckpt|gguf|h5|msgpack|onnx)"
    r"|(quantize|quant|hf_quant)_config\.json|recipe\.yaml"
)
_TOKENIZER = frozenset(
    {
        TOKENIZER_FILE, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
        "merges.txt", "tokenizer.model", TEMPLATE_FILE,
    }
)  # fmt: skip
Told = Callable[[str], None]


def bytes_of(plan: FoldPlan) -> int:
    """Counts the bytes of the new base's weights."""
    return sum(size_of(_dtype(one), one.shape) for one in plan.parameters)


def write_weights(plan: FoldPlan, base: BaseCheckpoint, trained: Trained, out: Path, tell: Told) -> int:
    """Writes the weights into the folder `out`, in files as the base has them.

    Returns how many parameters are others than the base's. Raises AdapterError where one is not finite.
    """
    count, done = 0, 0
    weight_map: dict[str, str] = {}
    for file, group in groupby(plan.parameters, key=lambda one: one.source.file):
        parameters = list(group)
        with (out / file.name).open("xb") as writer:
            writer.write(header_of((one.name, _dtype(one), one.shape) for one in parameters))
            for one in parameters:
                done += 1
                tell(f"folding {done} of {len(plan.parameters)}: {one.name}")
                values, differs = _values(one, base, trained)
                writer.write(_raw(values))
                count += differs
            writer.flush()
            os.fsync(writer.fileno())
        weight_map |= {one.name: file.name for one in parameters}
    if set(weight_map.values()) != {SINGLE}:
        index = {"metadata": {"total_size": bytes_of(plan)}, "weight_map": weight_map}
        (out / INDEX).write_text(json.dumps(index, indent=2, sort_keys=True), encoding="utf-8")
    return count


def _values(one: PlannedParameter, base: BaseCheckpoint, trained: Trained) -> tuple["torch.Tensor", bool]:
    """Computes a parameter's new values, and whether they are others than before."""
    torch = load_torch()
    source = one.source
    exact = unpacked(source, base.quantization or {}) if source.packed else read_tensor(source.file, source.plain)
    before = exact.to(_torch_dtype(one)) if source.packed else exact
    if one.change is None:
        return before, False
    new = changed(exact, one.change, lambda tensor: read_tensor(trained.file, tensor), transposed=trained.transposed)
    values = new.to(before.dtype)
    if not torch.isfinite(values).all():
        raise AdapterError(
            f"{trained.file}: {shown(one.name)} would hold numbers that are not finite.",
            hint="The training diverged: take an earlier checkpoint.",
            reason="values",
        )
    return values, values.shape != before.shape or not torch.equal(values, before)


def _torch_dtype(one: PlannedParameter) -> "torch.dtype":
    dtype: torch.dtype = dtype_of(one.source.parts["weight_scale"])
    return dtype


def _dtype(one: PlannedParameter) -> str:
    return (one.source.parts["weight_scale"] if one.source.packed else one.source.plain).dtype


def _raw(values: "torch.Tensor") -> "NDArray[np.uint8]":
    return values.contiguous().reshape(-1).view(load_torch().uint8).numpy()


def write_config(plan: FoldPlan, base: BaseCheckpoint, out: Path) -> None:
    """Writes config.json: the base's, but for what the fold changed."""
    config = {key: value for key, value in base.config.items() if key != "quantization_config"}
    inner = config.get("text_config")
    if plan.untied:
        config["tie_word_embeddings"] = False
        if isinstance(inner, dict):
            config["text_config"] = inner = inner | {"tie_word_embeddings": False}
    if plan.rows is not None:
        if isinstance(inner, dict):
            config["text_config"] = inner | {"vocab_size": plan.rows}
        if "vocab_size" in config or not isinstance(inner, dict):
            config["vocab_size"] = plan.rows
    (out / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def copied_files(base: Path, adapter: Path) -> Mapping[str, Path]:
    """Chooses the files that are copied: the base's, without weights and config.json; and, where the adapter carries
    them, its tokenizer and its chat template in place of the base's. Pure, but for listing."""
    files = {path.name: path for path in sorted(base.iterdir()) if path.is_file() and not path.name.startswith(".")}
    kept = {name: path for name, path in files.items() if name != CONFIG and not _WEIGHTS.fullmatch(name)}
    own = {name: adapter / name for name in sorted(_TOKENIZER) if (adapter / name).is_file()}
    if TOKENIZER_FILE in own or "tokenizer.model" in own:
        kept = {name: path for name, path in kept.items() if name not in _TOKENIZER - {TEMPLATE_FILE}}
        return kept | own
    return kept | {name: path for name, path in own.items() if name == TEMPLATE_FILE}


def copy_files(files: Iterable[Path], out: Path) -> None:
    """Copies the `files` into the folder `out`, and has all that is in it written to the disk."""
    for path in files:
        shutil.copyfile(path, out / path.name)
    for path in (*out.iterdir(), out):
        sync(path)
