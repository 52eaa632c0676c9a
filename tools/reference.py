"""The generator of docs/reference/configuration.md from the configuration models: `python -m tools.reference`."""

import json
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from patchbay.core.paths import PROJECT_FOLDER, data_dir
from patchbay.launch.config import SHARED_WITH_ROUTER, PatchbayConfig, RouterSection

OUTPUT = Path(__file__).parent.parent / "docs" / "reference" / "configuration.md"
_HEAD = """# `patchbay.yaml`

Every key, with its default. Generated from the code by `python -m tools.reference`; a test holds it to that.
Unknown keys are refused, with the nearest known one.

**Paths** that are relative are relative to the file that they stand in, whatever the working directory is; `~` is the
user's home. A text with `://` in it is an address. Two exceptions: a secret's `{file: …}` must be absolute, and
`engine.arguments` go to vLLM as they are. Paths on a command line are relative to the working directory.

**State.** What a project keeps (registry, artifacts, replicas' caches, reports of canaries) is in the *project
directory*: `.patchbay` beside the file, which only its owner may enter and git leaves alone; without a file,
`.patchbay` in the working directory. `data_dir` names another folder. So two projects run at once, and one project
once. What belongs to no project (the admin token, the demo's models) is in the *user directory*,
`~/.local/share/patchbay`. The environment variable `PATCHBAY_DATA_DIR` goes before all of these: both are in the
folder that it names.
"""


def reference() -> str:
    """Generates the whole page in Markdown."""
    return "\n".join((_HEAD, *_section(PatchbayConfig, "")))


def _section(model: type[BaseModel], prefix: str, described: frozenset[type[BaseModel]] = frozenset()) -> Iterator[str]:
    """Generates a model's part of the page.

    `prefix`: the dotted key that leads to the model; `described`: models that are left out, since the page has them
    already.
    """
    leaves = {name: field for name, field in model.model_fields.items() if not _nested(field)}
    if model is RouterSection:
        leaves = {name: field for name, field in leaves.items() if name not in SHARED_WITH_ROUTER}
    if prefix:
        yield f"## `{prefix}`\n"
        yield f"{' '.join((model.__doc__ or '').split())}\n"
    if leaves:
        yield "| key | type | default |\n|---|---|---|"
        for name, field in leaves.items():
            yield f"| `{field.alias or name}` | {_type(field.annotation)} | {_default(field)} |"
        yield ""
    for name, field in model.model_fields.items():
        if model is RouterSection and name in SHARED_WITH_ROUTER:
            continue
        suffix = ".<name>" if typing.get_origin(field.annotation) is dict else ""
        yield from _sections(
            [nested for nested in _nested(field) if nested not in described], f"{prefix}.{name}".lstrip(".") + suffix
        )


def _sections(models: Sequence[type[BaseModel]], prefix: str) -> Iterator[str]:
    """Generates the parts of the models that a value can be one of. Models that all have in common appear once."""
    for model in models:
        kind = f" ({_kind(model)})" if len(models) > 1 else ""
        yield from _section(model, prefix + kind, frozenset(() if model is models[0] else _within(models[0])))


def _nested(field: FieldInfo) -> list[type[BaseModel]]:
    """Lists the models in a field's type: one, the alternatives, or none."""
    return list(_models(field.annotation))


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for part in typing.get_args(annotation):
        yield from _models(part)


def _within(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for field in model.model_fields.values():
        yield from _nested(field)


def _kind(model: type[BaseModel]) -> str:
    """Names the `kind` that distinguishes a model from its alternatives."""
    return f"kind: {typing.get_args(model.model_fields['kind'].annotation)[0]}"


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
    text = json.dumps(value.get_secret_value() if isinstance(value, SecretStr) else value, default=str)
    return f"`{text.replace(str(data_dir()), PROJECT_FOLDER)}`"


if __name__ == "__main__":
    OUTPUT.write_text(reference(), encoding="utf-8")
