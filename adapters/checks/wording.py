"""The readers of a folder's tokenizer and chat template, which decide how text becomes tokens and chats become text."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from patchbay.adapters.checks.folder import FolderLimits, read_bounded
from patchbay.adapters.checks.strict_json import decode
from patchbay.adapters.contents import TEMPLATE_FILE, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE
from patchbay.core.errors import AdapterError

# How a trainer happened to batch, which says nothing of the tokens.
_BATCHING = frozenset({"padding", "truncation", "version"})

_USUAL: Mapping[str, str] = {"bos_token": "<s>", "eos_token": "</s>"}


def tokenizer_hash(folder: Path, limits: FolderLimits) -> str | None:
    """Hashes the folder's tokenizer.json as it is written: SHA-256 in hex, None where there is none.

    It is a part of a base model's fingerprint, and so must stay as it is. Raises AdapterError where it cannot be read.
    """
    path = folder / TOKENIZER_FILE
    if not path.is_file():
        return None
    essence = _essence(read_object(path, limits.tokenizer_bytes))
    return hashlib.sha256(json.dumps(essence, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def chat_template(folder: Path, limits: FolderLimits) -> tuple[Path, str] | None:
    """Finds the chat template of `folder` and the file that it is in, as transformers does. Raises AdapterError."""
    path, config = folder / TEMPLATE_FILE, folder / TOKENIZER_CONFIG_FILE
    if path.is_file():
        return path, read_text(path, limits)
    if not config.is_file():
        return None
    template = read_object(config, limits.tokenizer_bytes).get("chat_template")
    if isinstance(template, list):
        named = {entry.get("name"): entry.get("template") for entry in template if isinstance(entry, dict)}
        template = named.get("default")
    return (config, template) if isinstance(template, str) else None


def special_tokens(folder: Path, limits: FolderLimits) -> Mapping[str, str]:
    """Reads the texts of the tokens that begin and end a sequence, `bos_token` and `eos_token`, as the tokenizer's
    configuration in `folder` names them; a usual one where it names none. Raises AdapterError."""
    config = folder / TOKENIZER_CONFIG_FILE
    named = read_object(config, limits.tokenizer_bytes) if config.is_file() else {}
    return {name: _token(named.get(name)) or usual for name, usual in _USUAL.items()}


def _token(value: object) -> str | None:
    """Returns a token's text, which older versions of transformers write within an object."""
    text = value.get("content") if isinstance(value, Mapping) else value
    return text if isinstance(text, str) else None


def read_text(path: Path, limits: FolderLimits) -> str:
    """Reads the UTF-8 text of the file at `path`. Raises AdapterError where it is none, or too long."""
    try:
        return read_bounded(path, limits.tokenizer_bytes).decode("utf-8-sig")
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


def read_object(path: Path, limit: int) -> dict[str, Any]:
    """Reads the JSON object in the file at `path`, of up to `limit` bytes. Raises AdapterError where it holds none."""
    raw = read_bounded(path, limit)
    try:
        value = decode(raw)
    except ValueError as error:
        raise AdapterError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(value, dict):
        raise AdapterError(f"{path} must hold a JSON object.")
    return value
