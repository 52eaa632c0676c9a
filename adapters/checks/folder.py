"""The check of an adapter's folder: regular files within limits, and no pickle."""

import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from patchbay.adapters.checks.strict_json import shown
from patchbay.adapters.digest import is_left_out
from patchbay.core.errors import AdapterError
from patchbay.core.settings import Settings

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
_PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl"})
_GIB = 1024**3


class FolderLimits(Settings):
    """The limits of an adapter's folder, in bytes but for `files`, which counts folders, too.

    `config_bytes`: its adapter_config.json, and its patchbay-adapter.yaml; `header_bytes`: its weights' header;
    `tokenizer_bytes`: each file of a tokenizer that it carries.
    """

    files: int = Field(default=256, ge=1)
    folder_bytes: int = Field(default=4 * _GIB, ge=1)
    file_bytes: int = Field(default=4 * _GIB, ge=1)
    config_bytes: int = Field(default=1024**2, ge=1)
    header_bytes: int = Field(default=16 * 1024**2, ge=1)
    tokenizer_bytes: int = Field(default=64 * 1024**2, ge=1)


DEFAULT_LIMITS = FolderLimits()


def check_files(folder: Path, limits: FolderLimits) -> None:
    """Checks the names, kinds and sizes of what `folder` holds.

    Raises AdapterError where `folder` is none, or holds a link, a pickle, anything that is no regular file, more than
    `limits` allow, or where its weights are missing, sharded or misnamed. `folder` itself may be a link, as mounted
    volumes often are. What the digest leaves out is left out here, too.
    """
    if not folder.is_dir():
        raise AdapterError(f"The adapter folder {folder} does not exist.", hint="Check the path.")
    total = 0
    for count, entry in enumerate(_entries(folder), start=1):
        if count > limits.files:
            raise AdapterError(f"{folder} holds more than {limits.files} files.", hint="Give the adapter's folder.")
        total += _check_entry(entry, limits)
        if total > limits.folder_bytes:
            raise AdapterError(
                f"{folder} holds more than {limits.folder_bytes} bytes at {shown(entry.name)}.",
                hint="Leave only the adapter's own files in it.",
            )
    _check_weights(folder)


def read_bounded(path: Path, limit: int) -> bytes:
    """Reads the file at `path`. Raises AdapterError where it has more than `limit` bytes, or cannot be read."""
    try:
        with path.open("rb") as file:
            raw = file.read(limit + 1)
    except OSError as error:
        raise AdapterError(
            f"{path} cannot be read: {error.strerror}.", hint="Give a folder that PEFT saved."
        ) from error
    if len(raw) > limit:
        raise AdapterError(f"{path} is larger than {limit} bytes.")
    return raw


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Lists everything under `folder` that is not hidden, each folder before what is in it.

    Lazy, so that a tree that is too large or too deep is given up before it is walked whole.
    """
    try:
        with os.scandir(folder) as found:
            for entry in found:
                if is_left_out(entry.name):
                    continue
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    yield from _entries(Path(entry.path))
    except OSError as error:
        raise AdapterError(f"{folder} cannot be read: {error.strerror}.") from error


def _check_entry(entry: os.DirEntry[str], limits: FolderLimits) -> int:
    """Checks one entry. Returns the size in bytes of a file, none for a folder."""
    if entry.is_dir(follow_symlinks=False):
        return 0
    path = shown(entry.path)
    if entry.is_symlink():
        raise AdapterError(f"{path} is a link.", hint="An adapter's folder must hold its files themselves.")
    if not entry.is_file(follow_symlinks=False):
        raise AdapterError(f"{path} is no regular file.", hint="Remove it from the adapter's folder.")
    if Path(entry.name).suffix.lower() in _PICKLES:
        raise AdapterError(
            f"{path} is a pickle, which can run code when it is loaded; only safetensors are taken.",
            hint=f"Save it again as {WEIGHTS_FILE}, or remove it.",
        )
    size = entry.stat(follow_symlinks=False).st_size
    if size > limits.file_bytes:
        raise AdapterError(f"{path} takes {size} bytes, expected at most {limits.file_bytes}.")
    return size


def _check_weights(folder: Path) -> None:
    path = folder / WEIGHTS_FILE
    others = sorted(found.name for found in folder.glob("*.safetensors") if found.name != WEIGHTS_FILE)
    shards = [name for name in others if "-of-" in name] or sorted(
        found.name for found in folder.glob("*.safetensors.index.json")
    )
    if shards:
        raise AdapterError(
            f"{folder / shards[0]}: the weights are sharded, expected all of them in {WEIGHTS_FILE}.",
            hint="Save them again with a larger max_shard_size.",
        )
    if path.is_file() and others:
        raise AdapterError(
            f"{folder / others[0]} would be ignored: an engine reads {WEIGHTS_FILE} alone.", hint="Remove it."
        )
    if not path.is_file():
        hint = f"Rename {others[0]} if it holds the weights." if others else "Give a folder that PEFT saved."
        raise AdapterError(f"{path} does not exist.", hint=hint)
