"""The publisher of adapters: it takes a source to a revision in the registry.

The order is: fetch, check, verify the signature, store, register. Nothing of a push is visible before its last step. A
push that is cut off at any point can simply be done again: the files are known by their hashes, and the same bytes for
the same base are the same revision.
"""

import dataclasses
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path

from patchbay.adapters.artifacts.store import ArtifactStore
from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.config import MAX_RANK, RegistryConfig
from patchbay.adapters.digest import digest_of
from patchbay.adapters.inspection import Inspected, Requirements, inspect
from patchbay.adapters.lineage import link_data
from patchbay.adapters.sandbox.bounds import Stop
from patchbay.adapters.sources.authority import Authority, shown_source
from patchbay.adapters.sources.fetch import Terms, obtain
from patchbay.adapters.workdir import remove_leftovers, staged, without_workdirs
from patchbay.core.errors import AdapterError, ArtifactError, PatchbayError, RequestError, WorkStopped
from patchbay.core.names import check_name
from patchbay.core.paths import data_dir
from patchbay.registry.records import AdapterSettings, BaseModelRecord, Provenance, Revision, RevisionDraft
from patchbay.registry.registry import Registry

_UPLOAD_LEASE_S = 24 * 3600.0
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class PushRequest:
    """The order to push one adapter.

    `source`: a folder, an archive, or a URL; `provenance`: takes precedence over the manifest in the folder;
    `settings`: how replicas keep the adapter, unchanged where None; `authority`: who named the source, and so whom a
    fetch of it may connect to.
    """

    adapter: str
    source: str
    provenance: Provenance = field(default_factory=Provenance)
    settings: AdapterSettings | None = None
    authority: Authority = "client"


@dataclass(frozen=True, slots=True)
class Pushed:
    """The result of a push.

    `created`: whether the revision is new; `stored`: how many files the store did not have before; `left_out`: what the
    source holds beside the adapter; `changes`: what was changed of its files, in words; `data`: the data set that its
    `data_hash` names, `tickets@3`; `warnings`: what is odd and was no reason to refuse it.
    """

    revision: Revision
    created: bool
    stored: int
    left_out: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    _: KW_ONLY
    data: str | None = None
    warnings: tuple[str, ...] = ()


class Publisher:
    """Pushes adapters into one registry and its artifact store. `max_rank`: the largest rank that replicas take;
    `taken`: names that no adapter may have, since clients have them for other models.

    What is pushed is fetched, unpacked and read in processes of their own (`adapters.sandbox`), never in this one.
    """

    def __init__(
        self,
        registry: Registry,
        store: ArtifactStore,
        config: RegistryConfig,
        *,
        max_rank: int = MAX_RANK,
        taken: Collection[str] = (),
    ) -> None:
        self._registry = registry
        self._store = store
        self._config = config
        self._max_rank = max_rank
        self._taken = frozenset(taken)
        self._staging = config.sources.staging or data_dir() / "staging"

    def push(
        self,
        request: PushRequest,
        *,
        actor: str,
        base: BaseLayout | None = None,
        tell: Tell = lambda step: None,
        stop: Stop | None = None,
    ) -> Pushed:
        """Makes a revision of the adapter at `request.source`. The same bytes for the same base are the same revision.

        `actor`: who pushes, for the registry's record; `base`: the layout that the adapter must fit; where None, the
        one that replicas serve, else the only one that the registry knows. `tell` is called with each step's name as it
        begins; `stop` may be asked from another thread. Blocks.

        Raises AdapterError where a check refuses the adapter, SourceError where it cannot be fetched, TooCostly where
        that takes more than it may, WorkStopped where `stop` was asked, ArtifactError and RegistryError where it cannot
        be kept.
        """
        check_name(request.adapter)
        layout = base or self._only_base()
        self._check_free(request.adapter, layout)
        stop = stop or Stop()
        with self.workdir("push") as workdir:
            tell("fetching")
            place = obtain(request.source, self._terms(request), workdir=workdir, stop=stop)
            tell("checking")
            found = inspect(place, self._requirements(layout), workdir=workdir, stop=stop)
            return self._register(_draft(request, layout, found), Path(found.folder), request, (actor, tell, stop))

    def workdir(self, purpose: str) -> AbstractContextManager[Path]:
        """Makes a working folder in the staging folder, removed with the block.

        Raises ArtifactError where it cannot be made.
        """
        return staged(purpose, self._staging)

    def told(self, error: AdapterError) -> AdapterError:
        """Returns `error` for whoever pushed from elsewhere: files are called as they are in the adapter."""
        message = without_workdirs(error.message, self._staging)
        return type(error)(message, hint=error.hint, reason=error.reason)

    def remove_leftovers(self) -> int:
        """Removes the working folders that killed processes left, in the staging folder and where temporary files are.

        Returns how many it removed.
        """
        return remove_leftovers(self._staging) + remove_leftovers()

    def _register(
        self, draft: RevisionDraft, folder: Path, request: PushRequest, caller: tuple[str, Tell, Stop]
    ) -> Pushed:
        """Stores the files and registers the revision. `caller`: the actor, and the push's `tell` and `stop`."""
        actor, tell, stop = caller
        required = self._config.data.require_known
        link = link_data(self._registry, draft.provenance.data_hash, require_known=required)
        lease = self._registry.lease_upload([file.sha256 for file in draft.files], _UPLOAD_LEASE_S)
        try:
            tell("storing")
            stored = self._store_files(folder, draft, stop)
            tell("registering")
            revision, created = self._registry.push(draft, actor=actor, settings=request.settings)
            # A clean-up may have run after a file was found in the store and before the registration that protects it.
            stored += self._store_files(folder, draft, Stop())
        finally:
            self._registry.release_upload(lease)
        return Pushed(
            revision,
            created,
            stored,
            draft.left_out,
            draft.changes,
            data=link.record.name if link.record is not None else None,
            warnings=(link.warning,) if link.warning is not None else (),
        )

    def _terms(self, request: PushRequest) -> Terms:
        return Terms(self._config.limits, self._config.sources, request.authority)

    def _requirements(self, base: BaseLayout | None) -> Requirements:
        config = self._config
        return Requirements(config.limits, self._max_rank, config.signing, config.sources, base)

    def _check_free(self, name: str, base: BaseLayout | None) -> None:
        """Raises AdapterError where the base model that an adapter called `name` is for, or one that is served, is
        called so: clients could ask for one of the two alone."""
        served = {report.base for report in self._registry.reports()} | {base.fingerprint if base else None}
        bases = {record.name for record in self._registry.bases() if record.fingerprint in served}
        if name in bases or name in self._taken:
            whose = "The base model itself" if name in bases else "The base model of a pool"
            raise AdapterError(
                f"{whose} is called '{name}'.", hint="Choose another name for the adapter.", reason="name"
            )

    def _only_base(self) -> BaseLayout | None:
        """Returns the layout of the one base model that replicas serve, else of the only one that the registry
        knows."""
        known = {record.fingerprint: record.layout for record in self._registry.bases() if record.layout}
        served = {report.base for report in self._registry.reports() if report.ready and report.base in known}
        chosen = served or known.keys()
        layout = known[next(iter(chosen)) or ""] if len(chosen) == 1 else None
        return BaseLayout.from_json(layout) if layout else None

    def _store_files(self, folder: Path, draft: RevisionDraft, stop: Stop) -> int:
        stored = 0
        for file in draft.files:
            stop.check()
            stored += self._store.put(folder / file.name, file.sha256)
        return stored


def register_folder_base(
    registry: Registry, model: str, *, name: str | None = None, chat_template: Path | None = None
) -> BaseLayout | None:
    """Registers the base model in the folder `model` and returns its layout.

    Returns None where `model` is no folder with safetensors, such as a hub's id. `name`: what clients call it, by
    default what the registry has, else the folder's name; `chat_template`: a file that is used in place of its own.
    """
    layout = BaseLayout.of_folder(Path(model).expanduser(), chat_template=chat_template)
    if layout is not None:
        known = {record.fingerprint: record.name for record in registry.bases()}
        name = name or known.get(layout.fingerprint) or Path(model).name
        registry.register_base(
            BaseModelRecord(fingerprint=layout.fingerprint, name=name, source=model, layout=layout.to_json())
        )
    return layout


def _draft(request: PushRequest, base: BaseLayout | None, found: Inspected) -> RevisionDraft:
    return RevisionDraft(
        adapter=request.adapter,
        digest=digest_of(found.hashes()),
        base=base.fingerprint if base else None,
        rank=found.rank,
        alpha=found.alpha,
        targets=found.targets,
        files=found.files,
        provenance=_merged_provenance(request, found.provenance),
        golden=found.golden,
        signed_by=found.signer,
        left_out=found.left_out,
        changes=found.changes,
    )


def _merged_provenance(request: PushRequest, manifest: Provenance) -> Provenance:
    """Returns the provenance of the adapter's manifest, overridden by that of the request."""
    requested = {
        field.name: value
        for field in dataclasses.fields(Provenance)
        if (value := getattr(request.provenance, field.name))
    }
    return dataclasses.replace(manifest, **{"source": shown_source(request.source), **requested})


def refusal_of(error: PatchbayError) -> str:
    """Returns the reason why a push failed, as a word from a bounded set, for metrics."""
    if isinstance(error, WorkStopped | RequestError):
        return "stopped" if isinstance(error, WorkStopped) else "busy"
    if isinstance(error, AdapterError):
        return error.reason or "other"
    return "store" if isinstance(error, ArtifactError) else "registry"
