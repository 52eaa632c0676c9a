"""A revision's digest: SHA-256 over its sorted files' names and hashes."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from patchbay.adapters.checks.folder import find_adapter

_BLOCK_BYTES = 1024 * 1024


def file_hash(path: Path) -> str:
    """Returns the SHA-256 of the file at `path`, 64 hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def folder_files(folder: Path) -> tuple[Path, ...]:
    """Lists the files of the adapter in `folder`, or in the one folder below that has one, sorted by their names.

    Raises AdapterError where there is none or there are several, and for a link that leads elsewhere.
    """
    root, found = find_adapter(folder)
    return tuple(root / name for name in found.own)


def folder_hashes(folder: Path) -> dict[str, str]:
    """Returns every file of the adapter in `folder` by its name, with its SHA-256.

    Raises AdapterError as `folder_files` does.
    """
    return {path.name: file_hash(path) for path in folder_files(folder)}


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
