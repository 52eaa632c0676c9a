"""The source `hf://organisation/name[/folder][@revision]`: an adapter on a Hugging Face hub.

A revision is a branch, a tag, a commit or a reference such as `refs/pr/1`. The folder may also stand behind it, as in
`hf://organisation/name@v1/folder`.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from patchbay.adapters.checks.folder import FolderLimits
from patchbay.adapters.contents import Contents, contents_of
from patchbay.adapters.sources.place import Fetched
from patchbay.core.distribution import install_command
from patchbay.core.errors import AdapterError, SourceError

# Small, so that what has come is on the disk soon, where its speed is measured.
_CHUNK_BYTES = 256 * 1024
_FOREIGN = ("huggingface_hub", "httpx", "httpx2", "httpcore", "httpcore2", "requests")
_SOURCE = re.compile(
    r"hf://(?P<repo>[\w.-]+/[\w.-]+)(?P<before>(?:/[\w.-]+)*)"
    r"(?:@(?P<revision>refs/(?:pr|heads|tags|convert)/[\w.-]+|[\w.-]+)(?P<behind>(?:/[\w.-]+)*))?/?"
)


@dataclass(frozen=True, slots=True)
class HubPlace:
    """A place on a hub. `revision`: None for the main branch; `folder`: None for whichever has the adapter."""

    repo: str
    revision: str | None
    folder: str | None

    @classmethod
    def parse(cls, source: str) -> Self:
        """Parses the URL of a place on a hub. Raises SourceError."""
        match = _SOURCE.fullmatch(source)
        folder = (match["before"] or match["behind"] or "").strip("/") if match else ""
        if match is None or (match["before"] and match["behind"]) or ".." in f"{match['repo']}/{folder}".split("/"):
            raise SourceError(
                f"'{source}' is no source.",
                hint="Write it as hf://organisation/name@revision, or hf://organisation/name/folder@revision.",
            )
        return cls(match["repo"], match["revision"], folder or None)


def fetch_from_hub(source: str, limits: FolderLimits, target: Path, pick: str | None) -> Fetched:
    """Downloads the adapter at `source` into `target`, at the commit that its revision names now.

    Looks at the names and sizes before anything is downloaded. `pick`: the folder in it, where `source` names none.
    Raises SourceError, also where the package is missing, and AdapterError where no adapter is there. Only for a
    process of its own: it changes the hub's client, whose other protocol opens connections that nobody could check.
    """
    place = HubPlace.parse(source)
    hub = _hub()
    with _translated(source, hub):
        # The client reads the environment's hub when it is imported, which may have been long ago.
        api = hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
        info = api.model_info(place.repo, revision=place.revision, files_metadata=True)
        found = _chosen(source, info.siblings or [], place.folder or pick, limits)
        names = [f"{found.root}/{name}".lstrip("/") for name in found.own]
        api.snapshot_download(place.repo, revision=info.sha, allow_patterns=names, local_dir=target, max_workers=4)
    return Fetched(target / found.root, None, found.left_out)


def _chosen(source: str, siblings: list[Any], folder: str | None, limits: FolderLimits) -> Contents:
    sizes = {sibling.rfilename: sibling.size or 0 for sibling in siblings}
    if not sizes:
        raise SourceError(f"{source} holds no file.", hint="Check its name.")
    found = contents_of(sizes, source, pick=folder)
    total = sum(sizes[f"{found.root}/{name}".lstrip("/")] for name in found.own)
    if len(found.own) > limits.files or total > limits.folder_bytes:
        raise SourceError(
            f"{source} holds {len(found.own)} files of {total} bytes, expected at most {limits.files} of "
            f"{limits.folder_bytes}.",
            hint="Is it an adapter, or a whole model?",
        )
    return found


@contextmanager
def _translated(source: str, hub: Any) -> Iterator[None]:
    """The seam where the hub's errors become ours; those of its HTTP client have no common base with them."""
    try:
        yield
    except AdapterError:
        raise
    except (hub.errors.HFValidationError, OSError, ValueError) as error:
        raise SourceError(f"{source} cannot be fetched: {_first_line(error)}", hint="Check its name.") from error
    except Exception as error:
        if type(error).__module__.split(".")[0] not in _FOREIGN:
            raise
        raise SourceError(f"{source} cannot be fetched: {_first_line(error)}", hint="Check its name.") from error


def _hub() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise SourceError(
            "hf:// needs the package 'huggingface_hub', which is not installed where adapters are fetched.",
            hint=f"Install it there: {install_command('hub')}.",
        ) from error
    from huggingface_hub import constants

    constants.HF_HUB_DISABLE_XET = True
    constants.DOWNLOAD_CHUNK_SIZE = _CHUNK_BYTES
    return huggingface_hub


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
