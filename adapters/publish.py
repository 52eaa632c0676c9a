"""From a source to a revision in the registry: fetch, gate, signature, store, register, in that order.

Nothing of a push is visible before its last step, and a push that is cut off at any point can simply be done again: the
files are known by their hashes, and the same bytes for the same base are the same revision.
"""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters.admission.base import BaseLayout
from adapters.admission.folder import check_files
from adapters.admission.gate import AdapterSummary, because, check_folder
from adapters.artifacts.store import ArtifactStore
from adapters.config import MAX_RANK, RegistryConfig
from adapters.digest import digest_of, folder_hashes
from adapters.errors import AdapterError, ArtifactError, PatchbayError
from adapters.manifest import Manifest, read_manifest
from adapters.names import check_name
from adapters.registry.records import AdapterSettings, BaseModelRecord, FileRecord, Provenance, Revision, RevisionDraft
from adapters.registry.registry import Registry
from adapters.signing import verify_folder
from adapters.sources import fetched
from adapters.workdir import workdir

_UPLOAD_LEASE_S = 24 * 3600.0
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class PushRequest:
    """What to push. `source`: a folder, an archive, or a URL; `provenance`: goes before what the manifest in the folder
    says; `settings`: how replicas keep the adapter, unchanged where None."""

    adapter: str
    source: str
    provenance: Provenance = field(default_factory=Provenance)
    settings: AdapterSettings | None = None


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push led to. `created`: whether the revision is new; `stored`: files that the store had not."""

    revision: Revision
    created: bool
    stored: int


class Publisher:
    """Pushes into one registry and its artifact store. `max_rank`: the largest rank that replicas take."""

    def __init__(
        self, registry: Registry, store: ArtifactStore, config: RegistryConfig, *, max_rank: int = MAX_RANK
    ) -> None:
        self._registry = registry
        self._store = store
        self._config = config
        self._max_rank = max_rank

    def push(
        self, request: PushRequest, *, actor: str, base: BaseLayout | None = None, tell: Tell = lambda step: None
    ) -> Pushed:
        """Makes a revision of what is at `request.source`; the same bytes for the same base are the same revision.

        `base`: what it must fit; where None, the one that replicas serve, else the only one that the registry knows.
        `tell` is called with each step's name as it begins. Blocks. Raises AdapterError where the gate refuses it,
        SourceError where it cannot be got, ArtifactError and RegistryError where it cannot be kept.
        """
        check_name(request.adapter)
        layout = base or self._only_base()
        with self._folder(request.source, tell) as folder:
            tell("checking")
            draft = self._checked(request, folder, layout)
            lease = self._registry.lease_upload([file.sha256 for file in draft.files], _UPLOAD_LEASE_S)
            try:
                tell("storing")
                stored = self._store_files(folder, draft)
                tell("registering")
                revision, created = self._registry.push(draft, actor=actor, settings=request.settings)
                # A clean-up may have run between the look for a file and the registration that protects it.
                stored += self._store_files(folder, draft)
            finally:
                self._registry.release_upload(lease)
        return Pushed(revision, created, stored)

    @contextmanager
    def _folder(self, source: str, tell: Tell) -> Iterator[Path]:
        tell("fetching")
        with (
            workdir("push") as aside,
            fetched(source, limits=self._config.limits, workdir=aside) as folder,
        ):
            yield folder

    def _only_base(self) -> BaseLayout | None:
        """The one base model that replicas serve, else the only one that the registry knows."""
        known = {record.fingerprint: record.layout for record in self._registry.bases() if record.layout}
        served = {report.base for report in self._registry.reports() if report.ready and report.base in known}
        chosen = served or known.keys()
        layout = known[next(iter(chosen)) or ""] if len(chosen) == 1 else None
        return BaseLayout.from_json(layout) if layout else None

    def _checked(self, request: PushRequest, folder: Path, base: BaseLayout | None) -> RevisionDraft:
        with because("files"):
            check_files(folder, self._config.limits)
        # Hashed before the check, and stored under these hashes, so that what is kept is what was checked.
        hashes = folder_hashes(folder)
        summary = check_folder(folder, max_rank=self._max_rank, base=base, limits=self._config.limits)
        manifest = read_manifest(folder, base=base)
        signer = verify_folder(folder, self._config.signing)
        files = tuple(FileRecord(name, sha256, (folder / name).stat().st_size) for name, sha256 in hashes.items())
        return _draft(request, base, summary, manifest, files=files, signer=signer, digest=digest_of(hashes))

    def _store_files(self, folder: Path, draft: RevisionDraft) -> int:
        return sum(self._store.put(folder / file.name, file.sha256) for file in draft.files)


def register_folder_base(
    registry: Registry, model: str, *, name: str, chat_template: Path | None = None
) -> BaseLayout | None:
    """The layout of the base model in the folder `model`, which the registry knows from now on; None where it is no
    folder with safetensors, such as a hub's id."""
    layout = BaseLayout.of_folder(Path(model).expanduser(), chat_template=chat_template)
    if layout is not None:
        registry.register_base(BaseModelRecord(layout.fingerprint, name, model, layout.to_json()))
    return layout


def _draft(
    request: PushRequest,
    base: BaseLayout | None,
    summary: AdapterSummary,
    manifest: Manifest | None,
    **known: Any,
) -> RevisionDraft:
    return RevisionDraft(
        adapter=request.adapter,
        digest=known["digest"],
        base=base.fingerprint if base else None,
        rank=summary.rank,
        alpha=summary.alpha,
        targets=tuple(sorted({module.rpartition(".")[2] for module in summary.modules})),
        files=known["files"],
        provenance=_merged(request, manifest),
        golden=manifest.golden_prompts() if manifest else (),
        signed_by=known["signer"],
    )


def _merged(request: PushRequest, manifest: Manifest | None) -> Provenance:
    """The manifest's provenance, with what the request says over it."""
    given = {
        field.name: value
        for field in dataclasses.fields(Provenance)
        if (value := getattr(request.provenance, field.name))
    }
    own = manifest.provenance() if manifest else Provenance()
    return dataclasses.replace(own, **{"source": request.source, **given})


def refusal_of(error: PatchbayError) -> str:
    """The bounded word for why a push failed, for metrics."""
    if isinstance(error, AdapterError):
        return error.reason or "other"
    return "store" if isinstance(error, ArtifactError) else "registry"
