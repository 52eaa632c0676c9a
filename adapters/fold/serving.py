"""The words by which a folded base is served: a section of a configuration, and the command. Pure."""

from pathlib import Path

from patchbay.core.yaml_text import yaml_text


def served_by(folder: Path, name: str, *, chat_template: Path | None = None) -> str:
    """Returns the `patchbay.yaml` that serves the base in `folder` under `name`."""
    base = {"model": str(folder), "name": name}
    if chat_template is not None:
        base["chat_template"] = str(chat_template.absolute())
    return yaml_text({"base": base})


def command_of(name: str) -> str:
    """Returns the command that serves it, once that file is written."""
    return f"patchbay up --config {name}.yaml"
