"""Archives that nobody vouches for: each way to harm is refused in its own words, and writes nothing outside."""

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from patchbay.adapters.archive import unpack
from patchbay.adapters.checks.folder import FolderLimits
from patchbay.core.errors import AdapterError

LIMITS = FolderLimits(files=8, folder_bytes=64 * 1024**2)
Fill = Callable[[tarfile.TarFile], None]


def member(name: str, raw: bytes = b"x", **fields: object) -> Fill:
    def add(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        info.size = len(raw)
        for key, value in fields.items():
            setattr(info, key, value)
        tar.addfile(info, io.BytesIO(raw) if info.isreg() else None)

    return add


def tar_of(path: Path, *fills: Fill) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for fill in fills:
            fill(tar)
    return path


def zip_of(path: Path, entries: dict[str, bytes], mode: int | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in entries.items():
            info = zipfile.ZipInfo(name)
            if mode is not None:
                info.external_attr = mode << 16
            archive.writestr(info, raw, zipfile.ZIP_DEFLATED)
    return path


WHOLE = [member("a/adapter_config.json"), member("a/adapter_model.safetensors")]
WHOLE_ZIP = {"a/adapter_config.json": b"x", "a/adapter_model.safetensors": b"x"}
OWN = ["adapter_config.json", "adapter_model.safetensors"]
BAD_TARS: dict[str, tuple[list[Fill], str]] = {
    "a link": ([member("a/vocab.json", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")], "a/vocab.json is a link"),
    "a hard link": ([member("a/vocab.json", b"", type=tarfile.LNKTYPE, linkname="a/x")], "a/vocab.json is a link"),
    "a device": ([member("a/vocab.json", b"", type=tarfile.CHRTYPE)], "a/vocab.json is a special file"),
    "a pipe": ([member("a/vocab.json", b"", type=tarfile.FIFOTYPE)], "a/vocab.json is a special file"),
    "a way out": ([member("../up")], "../up leads out"),
    "a hidden way out": ([member("a/../../up")], "leads out"),
    "a way out by a link": ([member("../up", b"", type=tarfile.SYMTYPE, linkname="/etc")], "leads out"),
    "an absolute name": ([member("/tmp/up")], "leads out"),
    "a Windows drive": ([member("C:/up")], "leads out"),
    "a backslash": ([member("..\\up")], "leads out"),
    "a name twice": ([member("a/vocab.json"), member("a/vocab.json")], "comes twice"),
    "a name twice but for case": ([member("a/README.md"), member("a/readme.md")], "comes twice"),
    "too many files": ([member(f"a/{n}.md") for n in range(9)], "more than 8 files"),
    "too many members": ([member(f"a/{n}", b"", type=tarfile.DIRTYPE) for n in range(600)], "more than 512 members"),
    "too many bytes": ([member("a/vocab.json", b"\1\2\3" * 30_000_000)], "unpacks to over|more than 67108864 bytes"),
    "a bomb": ([member("a/vocab.json", bytes(40 * 1024**2))], "unpacks to over"),
    "a bomb that is left out": ([member("a/merged/x", bytes(40 * 1024**2))], "unpacks to over"),
}


@pytest.mark.parametrize("kind", BAD_TARS)
def test_a_bad_tar_is_refused_in_its_own_words_and_writes_nothing_outside(tmp_path: Path, kind: str) -> None:
    fills, message = BAD_TARS[kind]
    archive = tar_of(tmp_path / "bad.tar.gz", *WHOLE, *fills)
    with pytest.raises(AdapterError, match=message) as refused:
        unpack(archive, tmp_path / "in" / "folder", LIMITS)
    assert refused.value.reason == "archive"
    assert {path.name for path in tmp_path.iterdir()} <= {"bad.tar.gz", "in"}


BAD_ZIPS: dict[str, tuple[dict[str, bytes], int | None, str]] = {
    "a link": ({"a/vocab.json": b"/etc/passwd"}, 0o120777, "no regular file"),
    "a way out": ({"../up": b"x"}, None, "leads out"),
    "an absolute name": ({"/tmp/up": b"x"}, None, "leads out"),
    "a bomb": ({"a/vocab.json": bytes(40 * 1024**2)}, None, "unpacks to over"),
    "a bomb that is left out": ({"a/merged/x": bytes(40 * 1024**2)}, None, "unpacks to over"),
    "too many files": ({f"a/{n}.md": b"x" for n in range(9)}, None, "more than 8 files"),
}


@pytest.mark.parametrize("kind", BAD_ZIPS)
def test_a_bad_zip_is_refused_in_its_own_words_and_writes_nothing_outside(tmp_path: Path, kind: str) -> None:
    entries, mode, message = BAD_ZIPS[kind]
    archive = zip_of(tmp_path / "bad.zip", WHOLE_ZIP | entries, mode)
    with pytest.raises(AdapterError, match=message):
        unpack(archive, tmp_path / "in" / "folder", LIMITS)
    assert {path.name for path in tmp_path.iterdir()} <= {"bad.zip", "in"}


@pytest.mark.parametrize("cut", [0, 1, 10, 100, 200])
@pytest.mark.parametrize("name", ["a.tar.gz", "a.zip", "a.tar"])
def test_an_archive_that_is_cut_short_or_none_at_all_is_refused(tmp_path: Path, name: str, cut: int) -> None:
    whole = (
        zip_of(tmp_path / "whole.zip", WHOLE_ZIP | {"a/vocab.json": bytes(range(256)) * 64})
        if name == "a.zip"
        else tar_of(tmp_path / "whole.tar.gz", *WHOLE, member("a/vocab.json", bytes(range(256)) * 64))
    )
    (tmp_path / name).write_bytes(whole.read_bytes()[:cut])
    with pytest.raises(AdapterError, match=r"no sound archive|cut short"):
        unpack(tmp_path / name, tmp_path / "folder", LIMITS)


def test_what_is_no_part_of_an_adapter_is_not_unpacked_whatever_it_is(tmp_path: Path) -> None:
    fills = [member(name) for name in ("a/LICENSE", "a/.git/config", "a/training_args.bin", "a/checkpoint-1/x.bin")]
    fills += [member("a/latest", b"", type=tarfile.SYMTYPE, linkname="/etc"), member("a/latest/LICENSE")]
    found = unpack(tar_of(tmp_path / "a.tgz", *WHOLE, *fills), tmp_path / "folder", LIMITS)
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == sorted(["LICENSE", *OWN])
    assert found.left_out == ("checkpoint-1/", "latest", "latest/", "training_args.bin")
