"""The cache of the hub's client: models that were downloaded to this machine before. Nothing is fetched."""

from pathlib import Path


def cached_model(model: str, revision: str | None = None) -> Path | None:
    """Returns the folder of the hub's `model`; None where it is not here, or the hub's client is not installed."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        return None
    try:
        return Path(snapshot_download(model, revision=revision, local_files_only=True))
    except (OSError, ValueError):  # a model that is not here, and a name that cannot be one
        return None
