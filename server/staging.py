"""The staging of revisions: a private, checked copy of the files that the router names.

The engine may read an adapter's files again at any step for as long as it knows the adapter, and ends if it cannot. So
it gets a copy of its own, verified byte for byte, which stays until the revision is removed from the engine.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from patchbay.adapters.artifacts.cache import Fetcher
from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.checks.check import AdapterSummary, check_folder
from patchbay.adapters.checks.folder import FolderLimits
from patchbay.core.errors import AdapterError, AdapterRejected, ArtifactError, Unavailable
from patchbay.core.names import engine_name, revision_name
from patchbay.registry.records import FileRecord
from patchbay.server.metrics import ServerMetrics


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionSpec:
    """The router's specification of a revision for a replica.

    `digest`: the SHA-256 over its files; `base`: the fingerprint of the base model that it is for, None for any;
    `load`: whether to load it at once; `pin`: whether it is evicted last.
    """

    adapter: str
    number: int
    digest: str
    files: tuple[FileRecord, ...]
    base: str | None = None
    load: bool = True
    pin: bool = False

    @property
    def name(self) -> str:
        """The name that clients use: `sql@3`."""
        return revision_name(self.adapter, self.number)

    @property
    def engine_name(self) -> str:
        """The name in the engine: `sql@3-1a2b3c4d5e6f`."""
        return engine_name(self.adapter, self.number, self.digest)


@dataclass(frozen=True, slots=True)
class StagedAdapter:
    """A staged revision: the copy in `folder`, its digest, and the summary of its files."""

    folder: Path
    digest: str
    summary: AdapterSummary


@dataclass(slots=True)
class PendingRevision:
    """A revision that is not declared yet: its files are being fetched, or it was refused (`failure` says why)."""

    spec: RevisionSpec
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class StagingRules:
    """The conditions for staging a revision. `base`: the layout that it must fit, None where that is not known."""

    max_rank: int
    limits: FolderLimits
    base: BaseLayout | None = None


class Staging:
    """The staged copies of one replica, and the revisions that are being staged or were refused."""

    def __init__(self, fetcher: Fetcher, rules: StagingRules, metrics: ServerMetrics) -> None:
        self._fetcher = fetcher
        self._rules = rules
        self._metrics = metrics
        self._pending: dict[tuple[str, int], PendingRevision] = {}

    @property
    def arrivals(self) -> tuple[PendingRevision, ...]:
        """The revisions that are being staged or were refused, in the order of adapter and number."""
        return tuple(self._pending[key] for key in sorted(self._pending))

    async def stage(self, spec: RevisionSpec) -> StagedAdapter:
        """Fetches and checks a copy of the revision's files.

        Raises AdapterRejected where this replica cannot serve them, Unavailable where they cannot be fetched now.
        """
        with self._tracked(spec):
            self._check_base(spec)
            started = time.monotonic()
            folder = await self._fetcher.get(spec.digest, spec.files)
            rules = self._rules
            summary = await asyncio.to_thread(
                check_folder, folder, max_rank=rules.max_rank, base=rules.base, limits=rules.limits
            )
            self._metrics.staging_seconds.observe(time.monotonic() - started)
        return StagedAdapter(folder, spec.digest, summary)

    def forget(self, adapter: str, number: int) -> bool:
        """Forgets that a revision was refused. Returns whether there was one."""
        return self._pending.pop((adapter, number), None) is not None

    def discard(self, digest: str) -> None:
        """Removes the copy with this digest. Blocks on the disk."""
        self._fetcher.discard(digest)

    def clear(self) -> None:
        """Removes the copies that an earlier run of this replica left. Blocks on the disk."""
        self._fetcher.clear()

    async def close(self) -> None:
        """Waits for the fetches that are under way."""
        await self._fetcher.close()

    def _check_base(self, spec: RevisionSpec) -> None:
        base = self._rules.base
        if spec.base is not None and base is not None and spec.base != base.fingerprint:
            raise AdapterError(
                f"{spec.name} was made for the base model {spec.base[:12]}, and this replica serves "
                f"{base.fingerprint[:12]}.",
                hint="Train it for this base model.",
                reason="base",
            )

    @contextmanager
    def _tracked(self, spec: RevisionSpec) -> Iterator[None]:
        """Lists the revision as pending while the block runs, and as refused if it fails.

        Translates AdapterError and ArtifactError into errors that a request can be answered with.
        """
        pending = self._pending[spec.adapter, spec.number] = PendingRevision(spec)
        try:
            yield
        except AdapterError as error:
            pending.failure = str(error)
            self._metrics.refusals.labels(reason=error.reason or "other").inc()
            raise AdapterRejected(error.message, hint=error.hint) from error
        except ArtifactError as error:
            pending.failure = str(error)
            raise Unavailable(str(error), retry_after_s=5) from error
        except BaseException:
            self.forget(spec.adapter, spec.number)
            raise
        self.forget(spec.adapter, spec.number)
