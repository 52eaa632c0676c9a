"""The source `hf://organisation/name[@revision][/folder]`: an adapter on a Hugging Face hub."""

import os
import re
from pathlib import Path
from typing import Any

from patchbay.adapters.checks.folder import FolderLimits
from patchbay.adapters.digest import is_left_out
from patchbay.core.errors import SourceError

# Small, so that what has come is on the disk soon, where its speed is measured.
_CHUNK_BYTES = 256 * 1024
_FOREIGN = ("huggingface_hub", "httpx", "httpx2", "httpcore", "httpcore2", "requests")
_SOURCE = re.compile(r"hf://(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w.-]+))?(?:/(?P<folder>[\w./-]+))?/?")


def fetch_from_hub(source: str, limits: FolderLimits, target: Path) -> Path:
    """Downloads the adapter at `source` into `target`, at the commit that its revision names now.

    Looks at the sizes before anything is downloaded. Raises SourceError, also where the package is missing. Only for a
    process of its own: it changes the hub's client, whose other protocol opens connections that nobody could check.
    """
    match = _SOURCE.fullmatch(source)
    if match is None or ".." in (match["folder"] or ""):
        raise SourceError(f"'{source}' is no source.", hint="Write it as hf://organisation/name@revision.")
    hub = _hub()
    folder = f"{match['folder'].strip('/')}/" if match["folder"] else ""
    try:
        # The client reads the environment's hub when it is imported, which may have been long ago.
        api = hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
        info = api.model_info(match["repo"], revision=match["revision"], files_metadata=True)
        names = _wanted_names(source, info.siblings or [], folder, limits)
        api.snapshot_download(match["repo"], revision=info.sha, allow_patterns=names, local_dir=target, max_workers=4)
    except (hub.errors.HFValidationError, OSError, ValueError) as error:
        raise SourceError(f"{source} cannot be fetched: {_first_line(error)}", hint="Check its name.") from error
    except Exception as error:
        # Its errors, and those of the HTTP client that it happens to use, have no common base.
        if type(error).__module__.split(".")[0] not in _FOREIGN:
            raise
        raise SourceError(f"{source} cannot be fetched: {_first_line(error)}", hint="Check its name.") from error
    return target / folder if folder else target


def _wanted_names(source: str, siblings: list[Any], folder: str, limits: FolderLimits) -> list[str]:
    kept = [sibling for sibling in siblings if sibling.rfilename.startswith(folder)]
    kept = [sibling for sibling in kept if not any(is_left_out(part) for part in sibling.rfilename.split("/"))]
    if not kept:
        raise SourceError(f"{source} holds no file.", hint="Check the folder's name.")
    total = sum(sibling.size or 0 for sibling in kept)
    if len(kept) > limits.files or total > limits.folder_bytes:
        raise SourceError(
            f"{source} holds {len(kept)} files of {total} bytes, expected at most {limits.files} of "
            f"{limits.folder_bytes}.",
            hint="Is it an adapter, or a whole model?",
        )
    return [sibling.rfilename for sibling in kept]


def _hub() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise SourceError(
            "hf:// needs the package 'huggingface_hub', which is not installed where adapters are fetched.",
            hint="Install the extra there: pip install 'patchbay[hub]'.",
        ) from error
    from huggingface_hub import constants

    constants.HF_HUB_DISABLE_XET = True
    constants.DOWNLOAD_CHUNK_SIZE = _CHUNK_BYTES
    return huggingface_hub


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
