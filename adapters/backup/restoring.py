"""The restoring of a backup: its artifacts into the store, then its registry in the place of the present one."""

import contextlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

from patchbay.adapters.artifacts.store import ArtifactStore
from patchbay.adapters.backup.manifest import DATABASE, BackupManifest, artifact_of, read_manifest
from patchbay.adapters.backup.protection import Protection, losses, protection_in
from patchbay.adapters.backup.sqlite_copy import Tell, check_database, put_database, sha256_of, translated
from patchbay.core.errors import ConfigError, Conflict, RegistryError
from patchbay.registry.presence import mark, sign_of
from patchbay.registry.registry import Registry

# A router gives a sign of life every two seconds.
_ALIVE_S = 15.0


@dataclass(frozen=True, slots=True)
class RestoreTarget:
    """The place that a backup is restored to.

    `file`: the registry's, None where it is no SQLite file; `url`: its URL.
    """

    file: Path | None
    url: str
    store: ArtifactStore


def check_backup(folder: Path, tell: Tell) -> BackupManifest:
    """Checks every byte of the backup in `folder` and returns its manifest.

    `tell` is called with each step's name. Raises ConfigError where it is no backup, RegistryError where it is damaged
    or of a newer version.
    """
    manifest = read_manifest(folder)
    if manifest.database is not None:
        tell("checking the registry's copy")
        copy = folder / DATABASE
        with translated(copy):
            if sha256_of(copy) != manifest.database.sha256:
                raise RegistryError(f"{copy} is damaged: its SHA-256 is another one.", hint="Use another backup.")
        check_database(copy)
        _check_version(manifest.database.tables)
    names = manifest.artifacts or ()
    for number, sha256 in enumerate(names, 1):
        tell(f"checking artifact {number} of {len(names)}")
        file = artifact_of(folder, sha256)
        with translated(file):
            if sha256_of(file) != sha256:
                raise RegistryError(f"{file} is damaged: its SHA-256 is another one.", hint="Use another backup.")
    return manifest


def check_target(target: RestoreTarget, *, force: bool) -> None:
    """Checks that a backup may go there.

    Raises Conflict where a registry may not be replaced, or a router lives on it.
    """
    if target.file is None:
        raise ConfigError(
            "This backup has an SQLite registry, and registry.url names another database.",
            hint="Restore that by its own tools (pg_restore), and name a backup of artifacts alone here.",
        )
    if not target.file.exists() or target.file.stat().st_size == 0:
        return
    alive = _routers_on(target, force=force)
    if alive:
        raise Conflict(f"Routers live on the registry: {', '.join(alive)}.", hint="End them, and wait a moment.")
    if not force:
        raise Conflict(f"There is a registry in {target.file}.", hint="Say --force to replace it.")


def check_protection(folder: Path, target: RestoreTarget) -> tuple[str, ...]:
    """Lists the protection that the present registry gives and that a restore would lose, as messages."""
    if target.file is None:
        return ()
    sign = sign_of(target.file)
    then, now = protection_in(folder / DATABASE, alone=True), None
    if target.file.exists() and target.file.stat().st_size:
        with contextlib.suppress(RegistryError):
            now = protection_in(target.file, alone=False)
    elif sign is None:
        now = Protection({}, frozenset(), {})
    return tuple(losses(now, then))


def put_back(folder: Path, manifest: BackupManifest, target: RestoreTarget, tell: Tell, *, actor: str) -> None:
    """Restores the checked backup in `folder`. `actor`: who does, for the registry's record.

    Artifacts come first, so that the registry names nothing that is not there. Raises RegistryError and ArtifactError.
    Where it fails or is killed, the old registry stays, or the new one is there.
    """
    names = manifest.artifacts or ()
    for number, sha256 in enumerate(names, 1):
        tell(f"artifact {number} of {len(names)}")
        if target.store.has(sha256) and not target.store.verify(sha256):
            target.store.remove(sha256)
        target.store.put(artifact_of(folder, sha256), sha256)
    if manifest.database is None or target.file is None:
        return
    tell("putting the registry back")
    with translated(target.file):
        target.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    put_database(folder / DATABASE, target.file)
    mark(target.file)
    with Registry.open(target.url) as registry:
        if registry.snapshot().generation != manifest.database.generation:
            raise RegistryError(f"{target.file} is not what was put there.", hint="Somebody else writes to it.")
        details = {"made_at": manifest.made_at, "generation": manifest.database.generation}
        registry.record(actor, "restore", "registry", details)
        # Replicas of then need not be there, and those that are tell what they hold.
        for report in registry.reports():
            registry.forget_report(report.name)


def _routers_on(target: RestoreTarget, *, force: bool) -> tuple[str, ...]:
    try:
        with Registry.open(target.url, migrate=False) as registry:
            return tuple(router.name for router in registry.routers(_ALIVE_S))
    except RegistryError:
        # Damaged, or of an older form: nobody can tell who lives on it, but whoever forces it knows.
        if force:
            return ()
        raise


def _check_version(tables: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(resources.files("patchbay.registry") / "migrations"))
    known = {step.revision for step in ScriptDirectory.from_config(config).walk_revisions()}
    if tables not in known:
        raise RegistryError(
            f"The backup is of a newer Patchbay (tables {tables}).", hint="Use that version, or a newer one."
        )
