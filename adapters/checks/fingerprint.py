"""The fingerprint of a base model, which tells two base models apart without reading all of either.

Adapters are trained for exact weights. Hashing all of them takes minutes for a large model and reads every byte from a
network disk, so this hashes the model's own description, and samples of the weights. A model that was trained further
differs nearly everywhere, and so in the samples, too.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from patchbay.adapters.checks.folder import read_bounded
from patchbay.adapters.checks.strict_json import decode

_SAMPLES = 64
_SAMPLE_BYTES = 4096
_CONFIG_BYTES = 16 * 1024**2
# What saving and loading change, though the model stays the same.
_VOLATILE = frozenset({"transformers_version", "_name_or_path", "torch_dtype", "dtype", "architectures"})


def fingerprint(folder: Path, weights: Iterable[Path], tokenizer: str | None) -> str:
    """Computes the fingerprint of the model in `folder`, 64 hex digits.

    `weights`: its safetensors files; `tokenizer`: the hash of what decides its tokens. Reads at most 256 KiB of each
    file beyond its header. Raises OSError, ValueError or AdapterError where the folder cannot be read.
    """
    digest = hashlib.sha256()
    digest.update(json.dumps(_config(folder), sort_keys=True).encode())
    digest.update((tokenizer or "").encode())
    for path in weights:
        digest.update(path.name.encode() + b"\0")
        _add_samples(digest, path)
    return digest.hexdigest()


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    config = decode(read_bounded(path, _CONFIG_BYTES)) if path.is_file() else None
    return {key: value for key, value in config.items() if key not in _VOLATILE} if isinstance(config, dict) else {}


def _add_samples(digest: Any, path: Path) -> None:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        digest.update(hashlib.sha256(file.read(length)).digest())
        begin, size = 8 + length, path.stat().st_size
        step = max(_SAMPLE_BYTES, (size - begin) // _SAMPLES)
        for offset in range(begin, size, step):
            file.seek(offset)
            digest.update(file.read(_SAMPLE_BYTES))
