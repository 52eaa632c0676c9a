"""From what a source says to a local folder with the adapter."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from adapters.admission.folder import Limits
from adapters.admission.gate import because
from adapters.archive import is_archive, unpack
from adapters.errors import SourceError

Progress = Callable[[int], None]


@contextmanager
def fetched(source: str, *, limits: Limits, workdir: Path, progress: Progress = lambda count: None) -> Iterator[Path]:
    """A local folder with the adapter at `source`, for the block. Nothing is written outside `workdir`; `progress` is
    called with the bytes of each piece that has come.

    Raises SourceError where it cannot be got, AdapterError where it is an archive that the gate refuses.
    """
    with because("source"):
        yield _folder(source, limits, workdir, progress)


def _folder(source: str, limits: Limits, workdir: Path, progress: Progress) -> Path:
    scheme = urlsplit(source).scheme if "://" in source else ""
    if not scheme:
        return _local(Path(source).expanduser(), limits, workdir)
    if scheme == "hf":
        from adapters.sources.hub import fetch_from_hub

        return fetch_from_hub(source, limits, workdir / "hub")
    if scheme == "oci":
        from adapters.sources.oci import pull_oci

        return pull_oci(source, limits, workdir, progress)
    from adapters.sources.remote import fetch_remote

    found = fetch_remote(source, limits, workdir, progress)
    return unpack(found, workdir / "unpacked", limits) if found.is_file() else found


def _local(path: Path, limits: Limits, workdir: Path) -> Path:
    if path.is_file():
        if not is_archive(path.name):
            raise SourceError(f"{path} is a file, but no archive.", hint="Give a folder, a .tar.gz or a .zip.")
        return unpack(path, workdir / "unpacked", limits)
    if not path.is_dir():
        raise SourceError(f"There is nothing at {path}.", hint="Check the path.")
    return path
