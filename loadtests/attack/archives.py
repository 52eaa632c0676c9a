"""Hostile archives, pushed to the admin port: those that `tarfile`, `zipfile` and `gzip` are known to choke on."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator

from loadtests.attack.tries import Try

_TAR, _GZIP, _ZIP = "application/x-tar", "application/gzip", "application/zip"
_ENTRIES = 1_000_000
_MIB = 1 << 20


def archives() -> Iterator[Try]:
    """All of them, each made when its turn comes: some take a moment to make."""
    for what, kind, made in _hostile():
        yield upload("archives", what, kind, made(), name="attack")


def upload(row: str, what: str, kind: str, archive: bytes, *, name: str) -> Try:
    """A push of an archive of that content type as the adapter `name`."""
    path = f"/admin/v1/adapters/{name}/upload"
    return Try(row, what, path, archive, door="operators", headers={"content-type": kind})


def _hostile() -> Iterator[tuple[str, str, Callable[[], bytes]]]:
    yield "a pax header of 100,000 digits", _GZIP, lambda: gzip.compress(_pax(b"1" * 100_000))
    yield "a pax header that is no text", _TAR, lambda: _pax(b"\xff\x00" * 1000)
    yield "a pax size of 10^30", _TAR, lambda: _pax(b"40 size=" + b"9" * 30 + b"\n")
    yield "a gzip bomb", _GZIP, lambda: gzip.compress(_tar(_entry("adapter_model.safetensors", 512 * _MIB)), 9)
    yield "a zip bomb", _ZIP, lambda: _zipped("adapter_model.safetensors", bytes(512 * _MIB))
    yield "a million entries", _GZIP, _million
    yield "a zip of 60,000 entries", _ZIP, _many_zipped
    yield "a link out of it", _TAR, lambda: _tar(_link("adapter_config.json", "/etc/passwd", tarfile.SYMTYPE))
    yield "a hard link out of it", _TAR, lambda: _tar(_link("adapter_config.json", "../../x", tarfile.LNKTYPE))
    yield "a link to itself", _TAR, lambda: _tar(_link("adapter_config.json", "adapter_config.json", tarfile.SYMTYPE))
    yield "a device", _TAR, lambda: _tar(_link("adapter_config.json", "", tarfile.CHRTYPE))
    yield "a path out of it", _TAR, lambda: _tar(_entry("../../adapter_config.json", 2))
    yield "an absolute path", _ZIP, lambda: _zipped("/etc/adapter_config.json", b"{}")
    yield "a path of 64 KiB", _TAR, lambda: _tar(_entry("a/" * 32768 + "adapter_config.json", 2))
    yield "a sparse file", _TAR, lambda: _pax(b"30 GNU.sparse.map=0,999999999\n")
    yield "half an archive", _GZIP, lambda: gzip.compress(_tar(_entry("adapter_config.json", 5000)))[:60]
    yield "no archive at all", _ZIP, lambda: b"PK\x05\x06" + b"\xff" * 18
    yield "nothing", _TAR, lambda: b""


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size = size
    return entry


def _link(name: str, to: str, kind: bytes) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, to
    return entry


def _tar(entry: tarfile.TarInfo) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.addfile(entry, io.BytesIO(bytes(entry.size)))
    return made.getvalue()


def _pax(header: bytes) -> bytes:
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = tarfile.XHDTYPE, len(header)
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.addfile(entry, io.BytesIO(header))
        archive.addfile(tarfile.TarInfo("adapter_config.json"))
    return made.getvalue()


def _million() -> bytes:
    header = tarfile.TarInfo("a").tobuf()
    return gzip.compress(header * _ENTRIES + bytes(1024), 1)


def _zipped(name: str, content: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return made.getvalue()


def _many_zipped() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for place in range(60_000):
            archive.writestr(f"f{place}", b"")
    return made.getvalue()
