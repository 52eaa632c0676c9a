"""Puts adapters into an artifact store, as a push does, and describes them, as the router does."""

from pathlib import Path
from typing import Any

from patchbay.adapters.artifacts.store import ArtifactStore
from patchbay.adapters.checks.check import check_folder
from patchbay.adapters.config import ArtifactsConfig
from patchbay.adapters.digest import digest_of, folder_hashes
from patchbay.server.staging import StagedAdapter


def stored(store: Path, folder: Path) -> dict[str, Any]:
    """The digest and the files of the adapter in `folder`, which the store in the folder `store` has from now on."""
    artifacts = ArtifactStore.open(ArtifactsConfig(url=str(store)))
    hashes = folder_hashes(folder)
    for name, sha256 in hashes.items():
        artifacts.put(folder / name, sha256)
    files = [{"name": n, "sha256": sha256, "size": (folder / n).stat().st_size} for n, sha256 in hashes.items()]
    return {"digest": digest_of(hashes), "files": files}


def staged(folder: Path) -> StagedAdapter:
    """The adapter in `folder`, as if it had been fetched there and checked."""
    return StagedAdapter(folder, digest_of(folder_hashes(folder)), check_folder(folder, max_rank=16))
