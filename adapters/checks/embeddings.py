"""The samples of an embedding's rows, by which a copy of it is compared with the base's own."""

import hashlib
from pathlib import Path
from typing import Any, BinaryIO

from patchbay.adapters.checks.safetensors import Tensor
from patchbay.core.errors import AdapterError

_PREFIX = "base_model.model."
_SUFFIXES = (".base_layer.weight", ".weight")
# The modules that models look tokens up in, and make them from.
_NAMES = frozenset({"embed_tokens", "lm_head", "wte", "embed_in", "embed_out", "word_embeddings"})
# What the engine itself passes over, where a signature forbids to take it out.
_PASSED_OVER = (".embed_tokens.base_layer.weight", ".lm_head.base_layer.weight")
FLOAT_BYTES = {"F32": 4, "F16": 2, "BF16": 2}
_FIRST_ROWS, _SPREAD_ROWS, _LAST_ROWS = 256, 512, 512


def copied_module(name: str) -> str | None:
    """Returns the module whose whole weights the tensor called `name` holds, None where it is no embedding's."""
    for suffix in _SUFFIXES:
        if name.startswith(_PREFIX) and name.endswith(suffix):
            module = name.removeprefix(_PREFIX).removesuffix(suffix)
            return module if module.rpartition(".")[2] in _NAMES else None
    return None


def is_passed_over(name: str) -> bool:
    """Whether an engine passes over the tensor called `name`."""
    return name.endswith(_PASSED_OVER)


def embedding_hashes(file: Path, module: str, tensor: Tensor) -> tuple[str, ...]:
    """Hashes samples of the base's embedding `module`: as it is, and as it is after training in another precision.

    Returns none where it is no embedding, or packed. `file`: where its tensor is.
    """
    if module.rpartition(".")[2] not in _NAMES or tensor.dtype not in FLOAT_BYTES or len(tensor.shape) != 2:
        return ()
    sample = sample_of(file, tensor, tensor.shape[0])
    return tuple(dict.fromkeys(hash_of(cast(sample)) for cast in (_same, _through_bfloat16, _through_float16)))


def sample_of(path: Path, tensor: Tensor, rows: int) -> Any:
    """Reads samples of the first `rows` rows of `tensor`, as float32. Trained ones differ nearly everywhere, but for
    those of tokens that were added, which are the last."""
    import numpy as np

    chosen = {*range(min(rows, _FIRST_ROWS)), *range(max(0, rows - _LAST_ROWS), rows)}
    chosen.update(rows * part // _SPREAD_ROWS for part in range(_SPREAD_ROWS) if rows)
    width = tensor.shape[1] * FLOAT_BYTES[tensor.dtype]
    with path.open("rb") as file:
        raw = b"".join(_row(file, tensor.start + row * width, width, path) for row in sorted(chosen))
    if tensor.dtype == "BF16":
        return (np.frombuffer(raw, dtype="<u2").astype("<u4") << 16).view("<f4")
    return np.frombuffer(raw, dtype="<f4" if tensor.dtype == "F32" else "<f2").astype("<f4")


def _row(file: BinaryIO, start: int, width: int, path: Path) -> bytes:
    file.seek(start)
    raw = file.read(width)
    if len(raw) != width:
        raise AdapterError(f"{path} changed while it was read.", hint="Try again when it is complete.")
    return raw


def hash_of(values: Any) -> str:
    """Hashes the sampled `values`: SHA-256 in hex."""
    return hashlib.sha256(values.tobytes()).hexdigest()


def _same(values: Any) -> Any:
    return values


def _through_bfloat16(values: Any) -> Any:
    """Rounds to the nearest bfloat16, to the even one of two."""
    import numpy as np

    bits = values.view("<u4").astype("<u8")
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
    return rounded.astype(np.dtype("<u4")).view("<f4")


def _through_float16(values: Any) -> Any:
    import numpy as np

    with np.errstate(over="ignore"):
        return values.astype("<f2").astype("<f4")
