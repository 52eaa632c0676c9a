"""Tokenizer and chat template: vLLM uses the base's, so an adapter that was trained with others would be misread."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapters.admission.base import BaseLayout
from adapters.admission.folder import Limits, read_bounded
from adapters.admission.strict_json import decode
from adapters.errors import AdapterError

_TOKENIZER = "tokenizer.json"
_TOKENIZER_CONFIG = "tokenizer_config.json"
_TEMPLATE = "chat_template.jinja"
# How a trainer happened to batch, which says nothing of the tokens.
_BATCHING = frozenset({"padding", "truncation", "version"})
_HINT = "Train with the base model's own, or remove the file if that is what was done."


def check_drift(folder: Path, base: BaseLayout, limits: Limits) -> None:
    """Raises AdapterError where `folder` carries a tokenizer or a chat template that is not the base's."""
    _check_tokenizer(folder / _TOKENIZER, base.folder / _TOKENIZER, limits)
    carried = _template(folder, limits)
    if carried is None:
        return
    path, text = carried
    served = (base.chat_template, _text(base.chat_template, limits)) if base.chat_template else None
    served = served or _template(base.folder, limits)
    if served is None or served[1].rstrip("\n") != text.rstrip("\n"):
        where = f"that of {served[0]}" if served else f"none, since {base.folder} has none"
        raise AdapterError(f"{path}: the chat template differs from the base model's, expected {where}.", hint=_HINT)


def _check_tokenizer(path: Path, served: Path, limits: Limits) -> None:
    if not path.is_file() or not served.is_file():
        return
    carried, own = read_bounded(path, limits.tokenizer_bytes), read_bounded(served, limits.tokenizer_bytes)
    if carried != own and _essence(_object(carried, path)) != _essence(_object(own, served)):
        raise AdapterError(
            f"{path}: the tokenizer differs from the base model's, expected that of {served}.", hint=_HINT
        )


def _essence(tokenizer: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the tokens. Merges are `"a b"` in older versions' files, `["a", "b"]` in newer."""
    essence = {key: value for key, value in tokenizer.items() if key not in _BATCHING}
    model = essence.get("model")
    if isinstance(model, dict) and isinstance(merges := model.get("merges"), list):
        pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in merges]
        essence["model"] = model | {"merges": pairs}
    return essence


def _template(folder: Path, limits: Limits) -> tuple[Path, str] | None:
    """The chat template of `folder` and the file that it is in, as transformers looks for it."""
    path, config = folder / _TEMPLATE, folder / _TOKENIZER_CONFIG
    if path.is_file():
        return path, _text(path, limits)
    if not config.is_file():
        return None
    template = _object(read_bounded(config, limits.tokenizer_bytes), config).get("chat_template")
    if isinstance(template, list):
        named = {one.get("name"): one.get("template") for one in template if isinstance(one, dict)}
        template = named.get("default")
    return (config, template) if isinstance(template, str) else None


def _text(path: Path, limits: Limits) -> str:
    try:
        return read_bounded(path, limits.tokenizer_bytes).decode()
    except UnicodeDecodeError as error:
        raise AdapterError(f"{path} is not UTF-8 at byte {error.start}.") from error


def _object(raw: bytes, path: Path) -> dict[str, Any]:
    try:
        value = decode(raw)
    except ValueError as error:
        raise AdapterError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(value, dict):
        raise AdapterError(f"{path} must hold a JSON object.")
    return value
