"""Writes docs/reference/configuration.md from the configuration models: `python -m launch.reference`."""

import json
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from adapters.paths import data_dir
from launch.config import SHARED_WITH_ROUTER, PatchbayConfig, RouterSection

OUTPUT = Path(__file__).parent.parent / "docs" / "reference" / "configuration.md"
_HEAD = """# `patchbay.yaml`

Every key, with its default. Generated from the code by `python -m launch.reference`; a test holds it to that.
Relative paths are relative to the file. Unknown keys are refused, with the nearest known one.
"""


def reference() -> str:
    """The whole page, Markdown."""
    return "\n".join((_HEAD, *_section(PatchbayConfig, "")))


def _section(model: type[BaseModel], prefix: str) -> Iterator[str]:
    leaves = {name: field for name, field in model.model_fields.items() if _nested(field) is None}
    if model is RouterSection:
        leaves = {name: field for name, field in leaves.items() if name not in SHARED_WITH_ROUTER}
    if prefix:
        yield f"## `{prefix}`\n"
        yield f"{' '.join((model.__doc__ or '').split())}\n"
    if leaves:
        yield "| key | type | default |\n|---|---|---|"
        for name, field in leaves.items():
            yield f"| `{name}` | {_type(field.annotation)} | {_default(field)} |"
        yield ""
    for name, field in model.model_fields.items():
        nested = _nested(field)
        if nested is not None and not (model is RouterSection and name in SHARED_WITH_ROUTER):
            many = typing.get_origin(field.annotation) is dict
            yield from _section(nested, f"{prefix}.{name}".lstrip(".") + (".<name>" if many else ""))


def _nested(field: FieldInfo) -> type[BaseModel] | None:
    candidates = [field.annotation, *typing.get_args(field.annotation)]
    return next((one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel)), None)


def _type(annotation: Any) -> str:
    if typing.get_origin(annotation) is typing.Annotated:
        return _type(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) is typing.Literal:
        return ", ".join(f"`{value}`" for value in typing.get_args(annotation))
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        return " or ".join(_type(part) for part in typing.get_args(annotation) if part is not type(None))
    if typing.get_origin(annotation) in (dict, tuple):
        return "mapping" if typing.get_origin(annotation) is dict else "list"
    names = {str: "text", int: "whole number", float: "number", bool: "yes or no", Path: "path", SecretStr: "secret"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "*needed*"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None:
        return ""
    shown = json.dumps(value.get_secret_value() if isinstance(value, SecretStr) else value, default=str)
    return f"`{shown.replace(str(data_dir()), '$PATCHBAY_DATA_DIR')}`"


if __name__ == "__main__":
    OUTPUT.write_text(reference(), encoding="utf-8")
