"""The check of an adapter's folder: its own files are regular, or links within a Hugging Face cache, within limits."""

import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from patchbay.adapters.checks.strict_json import shown
from patchbay.adapters.contents import CONFIG_FILE, Contents, contents_of, is_document, is_own
from patchbay.core.errors import AdapterError
from patchbay.core.settings import Settings

_GIB = 1024**3
_MOST_LOOKED_THROUGH = 20_000
_MOST_DEEP = 6
# What is longer is no document of an adapter, and is left out.
_DOCUMENT_BYTES = 1024**2


class FolderLimits(Settings):
    """The limits of an adapter's folder, in bytes but for `files`. They are for an adapter's own files.

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


def find_adapter(folder: Path, pick: str | None = None) -> tuple[Path, Contents]:
    """Finds the adapter in `folder`: there, or in the one folder below it that has one, or in that which `pick` names.

    Returns its folder and what it holds. `folder` itself may be a link, as mounted volumes often are. Raises
    AdapterError where there is none, or where there are several to choose from.
    """
    _check_is_folder(folder)
    if pick is None and (folder / CONFIG_FILE).exists():
        return folder, list_folder(folder)
    found = contents_of(_names_below(folder, folder, _MOST_DEEP), str(folder), pick=pick)
    root = folder / found.root
    return root, list_folder(root) if found.root else found


def list_folder(folder: Path) -> Contents:
    """Lists the adapter whose files are in `folder` itself. Raises AdapterError where it is none, or has no weights."""
    _check_is_folder(folder)
    found = contents_of(_names_below(folder, folder, 1), str(folder))
    for name in found.own:
        _check_kind(folder / name)
    large = {name for name in found.own if is_document(name) and (folder / name).stat().st_size > _DOCUMENT_BYTES}
    return Contents("", tuple(name for name in found.own if name not in large), (*found.left_out, *sorted(large)))


def check_files(folder: Path, limits: FolderLimits) -> Contents:
    """Checks the kinds and sizes of the adapter's own files in `folder`, and returns what it holds.

    Raises AdapterError where `folder` is none, where one of those files is a link that leads elsewhere or no regular
    file, where they are more than `limits` allow, or where its weights are missing, sharded or misnamed.
    """
    found = list_folder(folder)
    if len(found.own) > limits.files:
        raise AdapterError(f"{folder} holds more than {limits.files} files.", hint="Give the adapter's folder.")
    total = 0
    for name in found.own:
        total += _checked_size(folder / name, limits)
        if total > limits.folder_bytes:
            raise AdapterError(
                f"{folder} holds more than {limits.folder_bytes} bytes at {shown(name)}.",
                hint="Leave only the adapter's own files in it.",
            )
    return found


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


def _check_is_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise AdapterError(f"The adapter folder {folder} does not exist.", hint="Check the path.")


def _names_below(folder: Path, top: Path, depth: int) -> Iterator[str]:
    """Lists the names below `top` of what is in `folder` and up to `depth` folders deep, but for hidden folders.

    A folder's name ends with a slash. No link to a folder is followed. Raises AdapterError where there is too much to
    look through.
    """
    for count, entry in enumerate(_entries(folder)):
        if count >= _MOST_LOOKED_THROUGH:
            raise AdapterError(
                f"{folder} holds more than {_MOST_LOOKED_THROUGH} entries.", hint="Name the folder in it."
            )
        name = Path(entry.path).relative_to(top).as_posix()
        is_folder = entry.is_dir(follow_symlinks=False)
        yield f"{name}/" if is_folder and not is_own(entry.name) else name
        if is_folder and depth > 1 and not entry.name.startswith("."):
            yield from _names_below(Path(entry.path), top, depth - 1)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            yield from found
    except OSError as error:
        raise AdapterError(f"{folder} cannot be read: {error.strerror}.") from error


def _check_kind(path: Path) -> None:
    if path.is_symlink():
        if not _is_in_hub_cache(path):
            raise AdapterError(
                f"{shown(str(path))} is a link.",
                hint="An adapter's folder must hold its files themselves, or be a snapshot in a Hugging Face cache.",
            )
    elif not path.is_file():
        raise AdapterError(f"{shown(str(path))} is no regular file.", hint="Remove it from the adapter's folder.")


def _is_in_hub_cache(link: Path) -> bool:
    """Whether `link` is a file of a Hugging Face cache: it is in `snapshots/COMMIT/`, and leads into its `blobs/`."""
    try:
        place, target = link.parent.resolve(strict=True), link.resolve(strict=True)
    except (OSError, RuntimeError):
        return False
    for snapshots in place.parents:
        if snapshots.name == "snapshots":
            return target.parent == snapshots.parent / "blobs" and target.is_file()
    return False


def _checked_size(path: Path, limits: FolderLimits) -> int:
    size = path.stat().st_size
    if size > limits.file_bytes:
        raise AdapterError(f"{path} takes {size} bytes, expected at most {limits.file_bytes}.")
    return size
