"""Whatever bytes an archive has: it is unpacked below its folder, or refused with an AdapterError; never a hang or
crash.

For PATCHBAY_FUZZ_SECONDS seconds where that is set.
"""

import io
import os
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patchbay.adapters.archive import unpack
from patchbay.adapters.checks.folder import FolderLimits
from patchbay.core.errors import AdapterError

SECONDS = float(os.environ.get("PATCHBAY_FUZZ_SECONDS", "0"))
STARTED = time.monotonic()
LIMITS = FolderLimits(files=6, folder_bytes=1024**2)
OWN = ["adapter_config.json", "adapter_model.safetensors", "README.md", "readme.md", f"README.{'x' * 300}"]
NAMES = st.sampled_from(
    ["a", "a/b", "../up", "/up", "a//b", "./a", "", ".", "a\0b", "ü", "x" * 300, "C:x", *OWN, *(f"a/{n}" for n in OWN)]
)
KINDS = st.sampled_from(
    [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.GNUTYPE_SPARSE, b"Z"]
)


@st.composite
def tars(draw: st.DrawFn) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz" if draw(st.booleans()) else "w") as tar:
        for _ in range(draw(st.integers(0, 5))):
            info = tarfile.TarInfo(draw(NAMES) or "n")
            raw = draw(st.binary(max_size=600))
            info.type, info.size, info.linkname = draw(KINDS), len(raw), draw(NAMES)
            tar.addfile(info, io.BytesIO(raw))
    return buffer.getvalue()


@st.composite
def zips(draw: st.DrawFn) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))) as archive:
        for _ in range(draw(st.integers(0, 5))):
            info = zipfile.ZipInfo(draw(NAMES) or "n")
            info.external_attr = draw(st.sampled_from([0, 0o100644, 0o120777, 0o040755, 0o010644])) << 16
            archive.writestr(info, draw(st.binary(max_size=600)))
    return buffer.getvalue()


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes]:
    suffix = draw(st.sampled_from([".tar", ".tar.gz", ".zip"]))
    raw = bytearray(draw(zips() if suffix == ".zip" else tars()))
    for _ in range(draw(st.integers(0, 6))):
        if raw:
            raw[draw(st.integers(0, len(raw) - 1))] = draw(st.integers(0, 255))
    return suffix, bytes(raw[: draw(st.integers(0, len(raw)))] if draw(st.booleans()) else raw)


def try_one(suffix: str, raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        outer = Path(name)
        (outer / f"archive{suffix}").write_bytes(raw)
        try:
            found = unpack(outer / f"archive{suffix}", outer / "in" / "folder", LIMITS)
        except AdapterError:
            pass
        else:
            assert {path.name for path in (outer / "in" / "folder").iterdir()} == set(found.own)
        assert {path.name for path in outer.iterdir()} <= {f"archive{suffix}", "in"}, "it wrote outside its folder"
        assert not any(path.is_symlink() for path in outer.rglob("*"))


@given(case=damaged())
@settings(max_examples=300 if not SECONDS else 2000, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_archive_is_unpacked_within_its_folder_or_refused(case: tuple[str, bytes]) -> None:
    try_one(*case)


def test_more_of_the_same_for_as_long_as_asked() -> None:
    while SECONDS and time.monotonic() - STARTED < SECONDS:
        test_any_archive_is_unpacked_within_its_folder_or_refused()


@given(raw=st.binary(max_size=2000), suffix=st.sampled_from([".tar", ".tgz", ".zip"]))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_refused_and_nothing_else(raw: bytes, suffix: str) -> None:
    try_one(suffix, raw)
