"""The manifest says which bytes a folder must hold."""

from pathlib import Path

import pytest

from patchbay.tuning.demo.errors import DamagedArtifacts
from patchbay.tuning.demo.manifest import MANIFEST_FILE, DemoManifest, FileEntry


def filled(folder: Path) -> Path:
    (folder / "base").mkdir(parents=True)
    (folder / "base" / "config.json").write_text("{}", encoding="utf-8")
    (folder / "top.txt").write_bytes(b"top")
    return folder


def test_a_written_manifest_reads_back_the_same(tmp_path: Path) -> None:
    manifest = DemoManifest.of_folder(filled(tmp_path), {"seed": 7})
    manifest.write(tmp_path)
    assert DemoManifest.read(tmp_path) == manifest
    assert sorted(manifest.files) == ["base/config.json", "top.txt"]


@pytest.mark.parametrize("harm", ["change", "grow", "remove", "replace by a folder"])
def test_any_harm_to_a_file_is_seen(tmp_path: Path, harm: str) -> None:
    manifest = DemoManifest.of_folder(filled(tmp_path), {})
    victim = tmp_path / "top.txt"
    if harm == "change":
        victim.write_bytes(b"tup")
    elif harm == "grow":
        victim.write_bytes(b"top!")
    else:
        victim.unlink()
    if harm == "replace by a folder":
        victim.mkdir()
    assert manifest.damaged_in(tmp_path) == ["top.txt"]


def test_the_digest_depends_on_names_and_bytes_but_not_on_order_or_origin() -> None:
    one, two = FileEntry("aa", 1), FileEntry("bb", 1)
    digest = DemoManifest({"x": one, "y": two}, {"seed": 1}).digest
    assert DemoManifest({"y": two, "x": one}, {"seed": 2}).digest == digest
    assert DemoManifest({"x": two, "y": one}, {}).digest != digest
    assert DemoManifest({"x": one, "z": two}, {}).digest != digest


@pytest.mark.parametrize("content", [None, "", "[]", '{"files": {"x": 3}, "origin": {}}', '{"files": {}}'])
def test_a_manifest_that_cannot_be_read_says_what_to_do(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / MANIFEST_FILE).write_text(content, encoding="utf-8")
    with pytest.raises(DamagedArtifacts) as caught:
        DemoManifest.read(tmp_path)
    assert caught.value.hint
