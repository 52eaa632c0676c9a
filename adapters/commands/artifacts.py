"""The commands `pull` and `gc` of `patchbay adapters`: fetch files from the store, and remove those that nobody
needs."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from patchbay.adapters.commands.output import activity, print_json
from patchbay.adapters.commands.session import AsJson, Config, Session, opened
from patchbay.adapters.workdir import workdir

if TYPE_CHECKING:
    from patchbay.registry.records import Revision

_AT_ONCE = 64


def pull(
    reference: Annotated[
        str, typer.Argument(metavar="NAME[@R]", help="The revision. A bare name means the one in 'stable'.")
    ],
    target: Annotated[str, typer.Argument(metavar="DIR", help="A new folder, or oci://registry/name:tag.")],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Fetches a revision's files into a new folder, or into an OCI registry, and verifies every byte.

    Example: patchbay adapters pull sql@3 ./sql-3
    """
    with opened(config) as session:
        revision = session.registry.resolve(reference)
        with activity(f"fetching {revision.name}"):
            if target.startswith("oci://"):
                _publish(session, revision, target)
            else:
                _fetch(session, revision, Path(target))
        if as_json:
            print_json({"revision": revision.name, "digest": revision.draft.digest, "target": target})
        else:
            typer.echo(f"{revision.name} is in {target}.")


def gc(
    older_than: Annotated[
        float, typer.Option(metavar="HOURS", min=0, help="Keep files that are younger than this.")
    ] = 24.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count the files.")] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Removes stored files that no revision needs: files of retired revisions, and of pushes that never finished.

    Example: patchbay adapters gc --dry-run
    """
    with opened(config) as session, activity("looking for files that nobody needs"):
        store, kept = session.store, session.registry.referenced()
        before = time.time() - older_than * 3600
        found = [sha256 for sha256, at in store.hashes() if sha256 not in kept and at <= before]
        count = len(found)
        if not dry_run:
            # In pieces, since pushes wait while one is removed.
            pieces = [found[at : at + _AT_ONCE] for at in range(0, len(found), _AT_ONCE)]
            count = sum(session.registry.collect(piece, store.remove) for piece in pieces)
            store.remove_leftovers(time.time())
            if count:
                session.registry.record(session.actor, "gc", "artifacts", {"files": count})
    if as_json:
        print_json({"removed": 0 if dry_run else count, "found": len(found)})
    else:
        typer.echo(f"{count} file{'s' * (count != 1)} {'would be removed' if dry_run else 'removed'}.")


def _fetch(session: Session, revision: "Revision", target: Path) -> None:
    from patchbay.core.errors import ConfigError

    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(f"{target} exists already, and is not empty.", hint="Name a new folder.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with workdir("pull", within=target.parent) as aside:
        session.store.fetch(revision.draft.files, aside)
        aside.chmod(0o777 & ~_umask())
        aside.rename(target)


def _publish(session: Session, revision: "Revision", target: str) -> None:
    from patchbay.adapters.sources.oci import push_oci

    with workdir("pull") as aside:
        folder = aside / "files"
        session.store.fetch(revision.draft.files, folder)
        push_oci(folder, target)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
