"""The readers of a folder's tokenizer and chat template, which decide how text becomes tokens and chats become text."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from patchbay.adapters.checks.folder import FolderLimits, read_bounded
from patchbay.adapters.checks.strict_json import decode
from patchbay.core.errors import AdapterError

TOKENIZER = "tokenizer.json"
_TOKENIZER_CONFIG = "tokenizer_config.json"
_TEMPLATE = "chat_template.jinja"
# How a trainer happened to batch, which says nothing of the tokens.
_BATCHING = frozenset({"padding", "truncation", "version"})


def tokenizer_hash(folder: Path, limits: FolderLimits) -> str | None:
    """Hashes what decides the tokens in the folder's tokenizer.json: SHA-256 in hex, None where there is none.

    Raises AdapterError where it cannot be read.
    """
    path = folder / TOKENIZER
    if not path.is_file():
        return None
    essence = _essence(_object(read_bounded(path, limits.tokenizer_bytes), path))
    return hashlib.sha256(json.dumps(essence, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def chat_template(folder: Path, limits: FolderLimits) -> tuple[Path, str] | None:
    """Finds the chat template of `folder` and the file that it is in, as transformers does. Raises AdapterError."""
    path, config = folder / _TEMPLATE, folder / _TOKENIZER_CONFIG
    if path.is_file():
        return path, read_text(path, limits)
    if not config.is_file():
        return None
    template = _object(read_bounded(config, limits.tokenizer_bytes), config).get("chat_template")
    if isinstance(template, list):
        named = {entry.get("name"): entry.get("template") for entry in template if isinstance(entry, dict)}
        template = named.get("default")
    return (config, template) if isinstance(template, str) else None


def read_text(path: Path, limits: FolderLimits) -> str:
    """Reads the UTF-8 text of the file at `path`. Raises AdapterError where it is none, or too long."""
    try:
        return read_bounded(path, limits.tokenizer_bytes).decode()
    except UnicodeDecodeError as error:
        raise AdapterError(f"{path} is not UTF-8 at byte {error.start}.") from error


def _essence(tokenizer: Mapping[str, Any]) -> dict[str, Any]:
    """Extracts what decides the tokens. Merges are `"a b"` in older versions' files, `["a", "b"]` in newer."""
    essence = {key: value for key, value in tokenizer.items() if key not in _BATCHING}
    model = essence.get("model")
    if isinstance(model, dict) and isinstance(merges := model.get("merges"), list):
        pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in merges]
        essence["model"] = model | {"merges": pairs}
    return essence


def _object(raw: bytes, path: Path) -> dict[str, Any]:
    try:
        value = decode(raw)
    except ValueError as error:
        raise AdapterError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(value, dict):
        raise AdapterError(f"{path} must hold a JSON object.")
    return value
