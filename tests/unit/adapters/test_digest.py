"""Digests and staged copies: the same bytes, the same digest; any other, another."""

from pathlib import Path

import pytest

from adapters.digest import digest_of, folder_hashes
from adapters.errors import AdapterError
from server.staging import Staging
from tests.fakes.adapter_folder import write_adapter


def digest(folder: Path) -> str:
    return digest_of(folder_hashes(folder))


def test_a_digest_depends_on_names_and_bytes_alone(tmp_path: Path) -> None:
    one, same = write_adapter(tmp_path / "one"), write_adapter(tmp_path / "same")
    assert digest(one) == digest(same)
    (same / "adapter_config.json").rename(same / "other.json")
    assert digest(one) != digest(same)
    assert digest(one) != digest(write_adapter(tmp_path / "other", fill=2))


def test_names_and_hashes_cannot_be_shifted_into_each_other() -> None:
    assert digest_of({"a": "bc"}) != digest_of({"ab": "c"})
    assert digest_of({"a": "b", "c": "d"}) != digest_of({"a": "b\n1:c:d"})


def test_links_and_empty_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(AdapterError, match="is empty"):
        folder_hashes(tmp_path / "empty")
    linked = write_adapter(tmp_path / "linked")
    (linked / "more").symlink_to("/etc")
    with pytest.raises(AdapterError, match="is a link"):
        folder_hashes(linked)


def test_a_staged_copy_stays_when_the_original_goes(tmp_path: Path) -> None:
    staging = Staging(tmp_path / "staged", max_rank=16)
    source = write_adapter(tmp_path / "sql")
    staged = staging.stage("sql", 3, source)
    assert staged.folder.name == f"sql@3-{staged.digest[:12]}"
    for file in source.iterdir():
        file.unlink()
    assert digest(staged.folder) == staged.digest
    staging.discard(staged)
    assert list((tmp_path / "staged").iterdir()) == []


def test_a_refused_adapter_leaves_nothing_behind(tmp_path: Path) -> None:
    staging = Staging(tmp_path / "staged", max_rank=4)
    with pytest.raises(AdapterError):
        staging.stage("sql", 1, write_adapter(tmp_path / "sql", r=8))
    assert not (tmp_path / "staged").exists()
