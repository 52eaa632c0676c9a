"""The cache of revisions on a replica, filled by threads: one fetch however many ask, and never half an adapter."""

import asyncio
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from patchbay.adapters.artifacts.store import ArtifactStore
from patchbay.adapters.digest import digest_of
from patchbay.core.errors import ArtifactError, PatchbayError
from patchbay.registry.records import FileRecord

FAILURE_MEMORY_S = 10.0
_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class _Failure:
    """A fetch that failed. `at`: when, by the fetcher's clock."""

    error: PatchbayError
    at: float


class Fetcher:
    """Fetches revisions from `store` into folders below `root`, each named by its digest.

    Each copy is private and stays until it is discarded: an engine reads its files again when it likes. `clock`:
    seconds, monotonic.
    """

    def __init__(self, store: ArtifactStore, root: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._root = root
        self._clock = clock
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="fetch")
        self._fetches: dict[str, asyncio.Task[Path]] = {}
        self._failures: dict[str, _Failure] = {}

    async def get(self, digest: str, files: Sequence[FileRecord]) -> Path:
        """Returns the folder with exactly `files`, whose digest is given. Fetches it first if it is not here.

        Raises ArtifactError where the files are not that digest's or cannot be had; for a few seconds after a failure
        without trying again.
        """
        failure = self._failures.get(digest)
        if failure is not None and self._clock() - failure.at < FAILURE_MEMORY_S:
            raise ArtifactError(failure.error.message, hint=failure.error.hint)
        fetch = self._fetches.get(digest)
        if fetch is None:
            fetch = asyncio.create_task(self._fetch(digest, tuple(files)), name=f"fetch {digest[:12]}")
            self._fetches[digest] = fetch
            fetch.add_done_callback(_mark_retrieved)
        # Shielded: the others who wait for this fetch must not lose it when one of them goes away.
        return await asyncio.shield(fetch)

    def discard(self, digest: str) -> None:
        """Removes the copy of one revision. Blocks on the disk."""
        shutil.rmtree(self._root / digest, ignore_errors=True)

    def clear(self) -> None:
        """Removes every copy, and what was left of fetches that were cut off long ago. Blocks on the disk."""
        shutil.rmtree(self._root, ignore_errors=True)

    async def close(self) -> None:
        """Waits for the fetches that are under way."""
        await asyncio.gather(*self._fetches.values(), return_exceptions=True)
        self._threads.shutdown()

    async def _fetch(self, digest: str, files: tuple[FileRecord, ...]) -> Path:
        try:
            loop = asyncio.get_running_loop()
            folder = await loop.run_in_executor(self._threads, self._fetch_now, digest, files)
        except PatchbayError as error:
            self._failures[digest] = _Failure(error, self._clock())
            raise
        finally:
            del self._fetches[digest]
        self._failures.pop(digest, None)
        return folder

    def _fetch_now(self, digest: str, files: tuple[FileRecord, ...]) -> Path:
        target, part = self._root / digest, self._root / f".{digest}.part"
        if digest_of({file.name: file.sha256 for file in files}) != digest:
            raise ArtifactError(f"The list of files does not belong to the digest {digest[:12]}.")
        if target.is_dir():
            return target
        try:
            part.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._store.fetch(files, part)
            part.rename(target)
        except OSError as error:
            raise ArtifactError(f"{self._root} cannot be written: {error.strerror}.") from error
        return target


def _mark_retrieved(task: asyncio.Task[Path]) -> None:
    """Reads how a fetch ended, or asyncio would log its error as never retrieved once every caller has gone."""
    if not task.cancelled():
        task.exception()
