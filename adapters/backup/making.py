"""The making of a backup: a whole copy of the registry, then every artifact that it names, each checked."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from patchbay.adapters.backup.manifest import DATABASE, BackupManifest, DatabaseRecord, artifact_of, write_manifest
from patchbay.adapters.backup.sqlite_copy import Tell, check_database, copy_database, sha256_of, translated
from patchbay.core.distribution import own_version
from patchbay.core.errors import ConfigError
from patchbay.registry.registry import Registry

# As long as a backup of many gigabytes takes; it is given back at its end.
_LEASE_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class BackupSource:
    """The registry and the store that a backup saves.

    `file`: the registry's, None where it is no SQLite file or is left out; `local`: the folder of the artifact store,
    None where it is no folder; `responses`: whether responses that clients had kept are saved, which are people's text.
    """

    registry: Registry
    file: Path | None
    local: Path | None
    responses: bool = False


def make_backup(source: BackupSource, folder: Path, tell: Tell, *, copy: bool = False) -> BackupManifest:
    """Makes a backup in the new folder `folder`. `tell` is called with each step's name.

    `copy`: whether artifacts are copied, and not linked to those in the store. Files that it needs are kept from `gc`
    meanwhile. Where it fails, nothing of it stays. Where it is killed, there is no manifest, so it is taken for none.
    Raises ConfigError and RegistryError.
    """
    _make_folder(folder)
    try:
        return _fill(source, folder, tell, copy=copy)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _make_folder(folder: Path) -> None:
    with translated(folder):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigError(f"{folder} exists already, and is not empty.", hint="Name a new folder.")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)


def _fill(source: BackupSource, folder: Path, tell: Tell, *, copy: bool) -> BackupManifest:
    database, wanted = None, source.registry.referenced()
    if source.file is not None:
        database, wanted = _save_database(source.file, folder / DATABASE, tell, responses=source.responses)
    saved, missing = None, []
    if source.local is not None:
        lease = source.registry.lease_upload(wanted, _LEASE_S)
        try:
            missing = _save_artifacts(source.local, folder, sorted(wanted), tell, copy=copy)
        finally:
            source.registry.release_upload(lease)
        saved = tuple(sorted(wanted.difference(missing)))
    manifest = BackupManifest(
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        version=own_version(),
        database=database,
        artifacts=saved,
        missing=tuple(missing),
    )
    with translated(folder):
        write_manifest(folder, manifest)
    return manifest


def _save_database(file: Path, target: Path, tell: Tell, *, responses: bool) -> tuple[DatabaseRecord, frozenset[str]]:
    copy_database(file, target, tell, responses=responses)
    tell("checking the copy of the registry")
    found = check_database(target)
    with translated(target):
        size, sha256 = target.stat().st_size, sha256_of(target)
    record = DatabaseRecord(
        sha256=sha256, size=size, generation=found.generation, tables=found.tables, responses=found.responses
    )
    return record, found.artifacts


def _save_artifacts(store: Path, folder: Path, wanted: Sequence[str], tell: Tell, *, copy: bool) -> list[str]:
    """Saves the artifacts, and returns those that the store does not have whole."""
    missing = []
    for number, sha256 in enumerate(wanted, 1):
        tell(f"artifact {number} of {len(wanted)}")
        target = artifact_of(folder, sha256)
        with translated(target):
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _save(store / "sha256" / sha256[:2] / sha256, target, sha256, copy=copy):
                missing.append(sha256)
    return missing


def _save(source: Path, target: Path, sha256: str, *, copy: bool) -> bool:
    """Saves one artifact.

    Returns whether `target` is the file now, whole. Raises OSError where nothing can be written.
    """
    if not source.is_file():
        return False
    if copy or not _linked(source, target):
        _copy(source, target)
    if sha256_of(target) == sha256:
        return True
    target.unlink()
    return False


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    with target.open("rb") as file:
        os.fsync(file.fileno())


def _linked(source: Path, target: Path) -> bool:
    """Makes both share their place on the disk, which another file system, or one without links, does not allow."""
    try:
        target.hardlink_to(source)
    except OSError:
        return False
    return True
