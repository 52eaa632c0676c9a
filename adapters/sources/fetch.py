"""The fetch of an adapter: from its source to a local folder, or archive, in a process of its own."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from patchbay.adapters.archive import is_archive
from patchbay.adapters.checks.check import because
from patchbay.adapters.checks.folder import FolderLimits
from patchbay.adapters.sandbox.bounds import Stop, Task
from patchbay.adapters.sandbox.process import ALLOW_HINT, NOT_ALLOWED, run
from patchbay.adapters.sources.authority import (
    Authority,
    environment_of,
    host_of,
    pinned_names,
    scheme_of,
    shown_source,
)
from patchbay.adapters.sources.config import SourcesConfig
from patchbay.adapters.sources.place import Fetched, split_pick
from patchbay.core.errors import SourceError

_FETCHED = TypeAdapter(Fetched)
# What file systems and protocols write beside an adapter's own bytes.
_SLACK_BYTES = 1024**2


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a fetch: on whose behalf it is, and within which limits."""

    limits: FolderLimits
    config: SourcesConfig
    authority: Authority = "client"


def obtain(source: str, terms: Terms, *, workdir: Path, stop: Stop | None = None) -> Fetched:
    """Fetches the adapter at `source`, which may pick a folder there: `SOURCE#FOLDER`. Blocks.

    Nothing is written outside `workdir`; a source on this machine is not copied. Raises SourceError where it cannot be
    fetched, or may not be fetched from there; TooCostly where that took more time, memory or bytes than it may;
    WorkStopped where `stop` was asked.
    """
    source, pick = split_pick(source)
    with because("source"):
        try:
            scheme = scheme_of(source)
            reach = pinned_names(source, terms.authority, terms.config, os.environ)
            host = host_of(source)
        except ValueError as error:
            raise SourceError(f"The source is no URL: {error}.", hint="Check it.") from error
        if not scheme:
            return Fetched(_local(Path(source).expanduser()), pick)
        shown = shown_source(source)
        if host is not None and not reach.knows(host):
            raise SourceError(f"{shown} cannot be fetched: {NOT_ALLOWED}.", hint=ALLOW_HINT)
        target = workdir / "fetched"
        target.mkdir(exist_ok=True)
        work = {"source": source, "pick": pick, "limits": terms.limits.model_dump(), "workdir": str(target)}
        environment = environment_of(source, os.environ)
        task = Task("fetch", work, environment, reach.to_json(), grows=target, least=terms.config.least)
        bounds = terms.config.bounds(terms.limits.folder_bytes, terms.limits.folder_bytes + _SLACK_BYTES)
        try:
            return _FETCHED.validate_python(run(task, bounds, workdir=workdir, stop=stop), strict=False)
        except SourceError as error:
            if error.message.startswith("it cannot"):
                raise SourceError(f"{shown}: {error.message}", hint=error.hint, reason=error.reason) from error
            raise


def fetch_task(work: Mapping[str, Any]) -> Any:
    """Does the work of `obtain` within the confined process. Returns a `Fetched` in JSON's types."""
    limits, workdir = FolderLimits.model_validate(work["limits"]), Path(work["workdir"])
    return _FETCHED.dump_python(fetch(work["source"], limits, workdir, work["pick"]), mode="json")


def fetch(source: str, limits: FolderLimits, workdir: Path, pick: str | None) -> Fetched:
    """Copies the adapter in the folder `pick`, or the archive, at the URL `source` into `workdir`.

    Raises SourceError where it cannot be fetched, AdapterError where no adapter is there.
    """
    scheme = scheme_of(source)
    if scheme == "hf":
        from patchbay.adapters.sources.hub import fetch_from_hub

        return fetch_from_hub(source, limits, workdir / "hub", pick)
    if scheme == "oci":
        from patchbay.adapters.sources.oci import pull_oci

        return pull_oci(source, limits, workdir, pick)
    from patchbay.adapters.sources.remote import fetch_remote

    return fetch_remote(source, limits, workdir, pick)


def _local(path: Path) -> Path:
    if path.is_file():
        if not is_archive(path.name):
            raise SourceError(f"{path} is a file, but no archive.", hint="Give a folder, a .tar.gz or a .zip.")
        return path
    if not path.is_dir():
        raise SourceError(f"There is nothing at {path}.", hint="Check the path.")
    return path
