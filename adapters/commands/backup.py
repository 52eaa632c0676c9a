"""The commands `patchbay backup` and `patchbay restore`: save the registry and its artifacts in a folder, and put them
back."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from patchbay.adapters.commands.output import activity, console, facts, print_json, size
from patchbay.adapters.commands.session import AsJson, Config, Session, actor, configured, home_of, opened, tell

if TYPE_CHECKING:
    from patchbay.adapters.backup.making import BackupSource
    from patchbay.adapters.backup.manifest import BackupManifest
    from patchbay.adapters.config import RegistryConfig

_Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The backup's folder.")]


def backup(
    folder: _Folder,
    artifacts_only: Annotated[
        bool, typer.Option("--artifacts-only", help="Leave out the registry's database, which pg_dump saves.")
    ] = False,
    copy: Annotated[
        bool, typer.Option("--copy", help="Copy artifacts even where the backup could share them with the store.")
    ] = False,
    responses: Annotated[
        bool, typer.Option("--responses", help="Save responses that clients had kept, too: what people wrote.")
    ] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Saves the registry and its artifacts in a new folder, while routers go on, and checks the result.

    Artifacts on the same file system are hard links. Clients' kept responses (/v1/responses) are left out, unless you
    say --responses. Exit code 1: artifacts are missing from the store, or damaged.

    Example: patchbay backup ./backup-monday
    """
    with opened(config) as session:
        from patchbay.adapters.backup.making import make_backup

        source = replace(_source(session, artifacts_only=artifacts_only), responses=responses)
        with activity("saving the registry") as under_way:
            made = make_backup(source, folder, under_way.tell, copy=copy)
        _show(folder, made, session.config, as_json=as_json)
    if made.missing:
        typer.echo(f"error: {len(made.missing)} artifacts are missing or damaged: patchbay adapters verify", err=True)
        raise typer.Exit(1)


def restore(
    folder: _Folder,
    force: Annotated[bool, typer.Option("--force", help="Replace the present registry.")] = False,
    accept: Annotated[
        bool,
        typer.Option("--accept", help="Restore even if the backup lacks present keys, revocations or limits."),
    ] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Puts a backup back, after checking every byte of it. Stop all routers, and `patchbay up`, on the registry first.

    Without --accept it refuses a backup that protects the server less than now: without keys, with keys or tenants that
    were revoked or disabled since, or without limits.

    Example: patchbay restore ./backup-monday --force
    """
    with configured(config) as (settings, _), activity("checking the backup") as under_way:
        from patchbay.adapters.artifacts.store import ArtifactStore
        from patchbay.adapters.backup.restoring import (
            RestoreTarget,
            check_backup,
            check_protection,
            check_target,
            put_back,
        )
        from patchbay.core.data_lock import sole_user
        from patchbay.core.errors import Conflict
        from patchbay.registry.database import sqlite_file

        url = settings.url.get_secret_value()
        target = RestoreTarget(sqlite_file(url), url, ArtifactStore.open(settings.artifacts))
        manifest, lost = check_backup(folder, under_way.tell), tuple[str, ...]()
        with sole_user(home_of(config)):
            if manifest.database is not None:
                check_target(target, force=force)
                lost = check_protection(folder, target)
                if lost and not accept:
                    raise Conflict(
                        f"The backup protects less than the present registry: {'; '.join(lost)}.",
                        hint="Use --accept if you want that.",
                    )
            put_back(folder, manifest, target, under_way.tell, actor=actor())
    if manifest.database is not None and manifest.database.responses:
        tell("warning: kept responses are there again that were deleted since the backup.")
    for words in lost:
        tell(f"warning: as you accepted, {words}.")
    _show(folder, manifest, settings, as_json=as_json)


def _source(session: Session, *, artifacts_only: bool) -> "BackupSource":
    from patchbay.adapters.backup.making import BackupSource
    from patchbay.core.errors import ConfigError
    from patchbay.registry.database import sqlite_file

    file, local = sqlite_file(session.config.url.get_secret_value()), session.store.local
    if file is None and not artifacts_only:
        raise ConfigError(
            "The registry is a PostgreSQL database, which this command does not save.",
            hint="Save it with 'pg_dump -Fc', then its artifacts with 'patchbay backup DIR --artifacts-only'.",
        )
    if artifacts_only and local is None:
        raise ConfigError(
            f"The artifacts are in {session.config.artifacts.url}, so --artifacts-only leaves nothing to save.",
            hint="Save them by the store's own means, such as versions of the bucket.",
        )
    return BackupSource(session.registry, None if artifacts_only else file, local)


def _show(folder: Path, made: "BackupManifest", config: "RegistryConfig", *, as_json: bool) -> None:
    if as_json:
        print_json({"folder": str(folder), **made.model_dump()})
        return
    elsewhere = f"in {config.artifacts.url}, not saved here: that store has its own means, such as versions"
    known = made.database
    shown = {
        "backup": folder,
        "made": made.made_at,
        "registry": f"generation {known.generation}, {size(known.size)}" if known else "not in it",
        "responses": (known.responses or "not in it") if known else None,
        "artifacts": elsewhere if made.artifacts is None else f"{len(made.artifacts)} files, all whole",
        "missing": len(made.missing) or None,
    }
    console().print(facts(shown))
