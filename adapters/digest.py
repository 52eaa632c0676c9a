"""A revision's digest: SHA-256 over its sorted files' names and hashes."""

import fnmatch
import hashlib
from collections.abc import Mapping
from pathlib import Path

from patchbay.core.errors import AdapterError

_BLOCK_BYTES = 1024 * 1024
# What PEFT's and transformers' trainers save beside an adapter. Much of it is pickles, none of it is ever loaded here.
_LEFTOVERS = (
    "training_args.bin",
    "optimizer.pt",
    "optimizer.bin",
    "scheduler.pt",
    "scaler.pt",
    "rng_state*.pth",
    "checkpoint-*",
    "runs",
    "global_step*",
)


def file_hash(path: Path) -> str:
    """Returns the SHA-256 of the file at `path`, 64 hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def is_left_out(name: str) -> bool:
    """Whether a file or folder called `name` is no part of an adapter: it is hidden, or trainers leave it behind."""
    return name.startswith(".") or any(fnmatch.fnmatchcase(name, pattern) for pattern in _LEFTOVERS)


def folder_files(folder: Path) -> tuple[Path, ...]:
    """Lists the regular files under `folder`, relative to it, sorted by their POSIX names, without what is left out.

    Raises AdapterError where the folder is none, is empty, or holds a link, which could lead anywhere, or a device.
    """
    if not folder.is_dir():
        raise AdapterError(f"The adapter folder {folder} does not exist.", hint="Check the path.")
    found = [path for path in folder.rglob("*") if not _is_left_out_path(path.relative_to(folder))]
    for path in found:
        if path.is_symlink():
            raise AdapterError(f"{path} is a link.", hint="An adapter's folder must hold its files themselves.")
        if not path.is_file() and not path.is_dir():
            raise AdapterError(f"{path} is neither a file nor a folder.", hint="Remove it.")
    files = sorted((path.relative_to(folder) for path in found if path.is_file()), key=Path.as_posix)
    if not files:
        raise AdapterError(f"The adapter folder {folder} is empty.")
    return tuple(files)


def folder_hashes(folder: Path) -> dict[str, str]:
    """Returns every file of `folder` by its POSIX name, with its SHA-256.

    Raises AdapterError as `folder_files` does.
    """
    return {name.as_posix(): file_hash(folder / name) for name in folder_files(folder)}


def digest_of(hashes: Mapping[str, str]) -> str:
    """Returns the digest of the files whose names and SHA-256 `hashes` gives, 64 hex digits.

    Every part is a netstring, so that no two sets of files give the same bytes to hash.
    Source: https://cr.yp.to/proto/netstrings.txt
    """
    digest = hashlib.sha256()
    for name in sorted(hashes):
        digest.update(_netstring(name) + _netstring(hashes[name]))
    return digest.hexdigest()


def _netstring(text: str) -> bytes:
    encoded = text.encode()
    return b"%d:%s," % (len(encoded), encoded)


def _is_left_out_path(name: Path) -> bool:
    return any(is_left_out(part) for part in name.parts)
