"""The form in which an adapter is stored: its own files, as an engine reads them.

What trainers write and an engine does not take is taken out or written out here, once, before the checks and the hash:
copies of the base's embeddings, a byte order mark, targets that are not listed, and patterns whose matching nobody can
bound. A signed adapter is stored as it was signed. It is done in a confined process: patterns are anybody's code.
"""

import codecs
import json
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.checks.check import because
from patchbay.adapters.checks.config import is_bounded, read_document
from patchbay.adapters.checks.copies import check_copies
from patchbay.adapters.checks.embeddings import copied_module
from patchbay.adapters.checks.folder import FolderLimits, list_folder, read_bounded
from patchbay.adapters.checks.safetensors import Tensor, read_header, write_tensors
from patchbay.adapters.checks.strict_json import shown
from patchbay.adapters.checks.structure import lora_module
from patchbay.adapters.contents import CONFIG_FILE, SIGNATURE_FILE, WEIGHTS_FILE
from patchbay.core.errors import AdapterError

_PATTERNS = ("rank_pattern", "alpha_pattern")


@dataclass(frozen=True, slots=True)
class StoredForm:
    """The stored form of an adapter, in `folder`. `changes`: what was changed, in words, one each."""

    folder: Path
    changes: tuple[str, ...] = ()


def stored_form(folder: Path, base: BaseLayout | None, limits: FolderLimits, target: Path) -> StoredForm:
    """Writes the stored form of the adapter in `folder` to the new folder `target`, where it differs.

    Where it does not, nothing is written. `base`: the layout that it must fit, where that is known. Raises AdapterError
    where a file cannot be read, and where a copy of an embedding is not the base's.
    """
    found = list_folder(folder)
    if SIGNATURE_FILE in found.own:
        return StoredForm(folder)
    with because("config"):
        document = read_document(folder, limits)
        marked = read_bounded(folder / CONFIG_FILE, limits.config_bytes).startswith(codecs.BOM_UTF8)
    with because("header"):
        tensors = read_header(folder / WEIGHTS_FILE, max_bytes=limits.header_bytes)
    # What is saved whole on purpose is none, and refused by the checks.
    whole = bool(document.get("modules_to_save"))
    copies = [tensor for name, tensor in tensors.items() if copied_module(name) is not None and not whole]
    with because("fit"):
        check_copies(copies, base, folder / WEIGHTS_FILE)
    with because("config"):
        written, changes = _plain_config(document, [lora_module(name) for name in tensors], folder / CONFIG_FILE)
    changes += (["the byte order mark of adapter_config.json is taken out"] if marked else []) + _told(copies)
    if not changes:
        return StoredForm(folder)
    _write(folder, found.own, target, written)
    if copies:
        kept = [tensor for tensor in tensors.values() if tensor not in copies]
        write_tensors(folder / WEIGHTS_FILE, kept, target / WEIGHTS_FILE)
    else:
        shutil.copyfile(folder / WEIGHTS_FILE, target / WEIGHTS_FILE)
    return StoredForm(target, tuple(changes))


def _write(folder: Path, names: Iterable[str], target: Path, config: Mapping[str, Any]) -> None:
    """Writes all but the weights."""
    target.mkdir()
    for name in names:
        if name not in (CONFIG_FILE, WEIGHTS_FILE):
            shutil.copyfile(folder / name, target / name)
    (target / CONFIG_FILE).write_text(json.dumps(config, indent=2), encoding="utf-8")


def _told(copies: Sequence[Tensor]) -> list[str]:
    return [f"{shown(copy.name)}, the base model's own, is taken out" for copy in copies]


def _plain_config(
    document: Mapping[str, Any], modules: Iterable[str | None], path: Path
) -> tuple[dict[str, Any], list[str]]:
    """Writes out what the adapter_config.json leaves to be found out. Returns it, and what was changed."""
    names = sorted({module for module in modules if module is not None})
    written, changes = dict(document), []
    if document.get("target_modules") is None and names:
        written["target_modules"] = sorted({name.rpartition(".")[2] for name in names})
        changes.append("target_modules, which were not given, are those of the tensors")
    for key in _PATTERNS:
        patterns = document.get(key)
        if isinstance(patterns, dict) and not all(map(is_bounded, patterns)):
            written[key] = _matched(patterns, names, f"{path}: {key}")
            changes.append(f"the patterns of {key} are written out as the modules that they match")
    return written, changes


def _matched(patterns: Mapping[str, Any], modules: Iterable[str], where: str) -> dict[str, Any]:
    """Returns the values of the `patterns` by the modules that they match, as PEFT does: the first that matches the end
    of a name from a dot on."""
    compiled = [(_compiled(pattern, where), value) for pattern, value in patterns.items()]
    found = {}
    for module in modules:
        value = next((value for pattern, value in compiled if pattern.match(module)), None)
        if value is not None:
            found[module] = value
    return found


def _compiled(pattern: str, where: str) -> re.Pattern[str]:
    try:
        return re.compile(rf"(.*\.)?({pattern})$")
    except (re.error, OverflowError, RecursionError) as error:
        raise AdapterError(
            f"{where} has the pattern '{shown(pattern)}', which is no regular expression.",
            hint="Write one entry for each module.",
        ) from error
