"""A private copy of an adapter's files, checked, under a name that says what the bytes are.

The engine may read an adapter's files again at any step for as long as it knows the adapter, and ends if it cannot. So
it never gets the operator's own folder, which may change or go away, but this copy, which stays until the revision is
removed from the engine.
"""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from adapters.admission.base import BaseLayout
from adapters.admission.folder import DEFAULT_LIMITS, check_files
from adapters.admission.gate import AdapterSummary, check_folder
from adapters.digest import digest_of, folder_files, folder_hashes
from adapters.errors import AdapterError
from adapters.names import engine_name


@dataclass(frozen=True, slots=True)
class StagedAdapter:
    """A copy in `folder`, its digest, and what its files say of it."""

    folder: Path
    digest: str
    summary: AdapterSummary


class Staging:
    """The staged copies of one replica, in a folder of its own. `base`: what they must fit, where that is known."""

    def __init__(self, root: Path, *, max_rank: int, base: BaseLayout | None = None) -> None:
        self._root = root
        self._max_rank = max_rank
        self._base = base

    def clear(self) -> None:
        """Removes what an earlier run of this replica left."""
        shutil.rmtree(self._root, ignore_errors=True)

    def stage(self, adapter: str, number: int, source: Path) -> StagedAdapter:
        """A checked copy of revision `number` of `adapter` from `source`; one that is there already is used again.

        Blocks on the disk. Raises AdapterError where the folder does not hold an adapter that this server takes, or
        where it changes while it is copied.
        """
        check_files(source, DEFAULT_LIMITS)
        # Before the check and again after the copy, so that what is served is what was checked.
        digest = digest_of(folder_hashes(source))
        summary = check_folder(source, max_rank=self._max_rank, base=self._base)
        target = self._root / engine_name(adapter, number, digest)
        if not target.is_dir():
            self._copy(source, target, digest)
        return StagedAdapter(target, digest, summary)

    def discard(self, staged: StagedAdapter) -> None:
        """Removes the copy."""
        shutil.rmtree(staged.folder, ignore_errors=True)

    def _copy(self, source: Path, target: Path, digest: str) -> None:
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        aside = Path(tempfile.mkdtemp(prefix=".staging-", dir=self._root))
        try:
            for name in folder_files(source):
                _copy_durably(source / name, aside / name)
            if digest_of(folder_hashes(aside)) != digest:
                raise AdapterError(f"{source} changed while it was copied.", hint="Try again when it is complete.")
            aside.rename(target)
        except OSError as error:
            raise AdapterError(f"{source} cannot be copied to {self._root}: {error.strerror}.") from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _copy_durably(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as reader, target.open("wb") as writer:
        shutil.copyfileobj(reader, writer)
        writer.flush()
        os.fsync(writer.fileno())
