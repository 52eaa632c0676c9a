"""Digests and staged copies: the same bytes, the same digest; any other, another."""

from pathlib import Path

import pytest

from patchbay.adapters.checks.check import check_folder
from patchbay.adapters.digest import digest_of, folder_hashes
from patchbay.core.errors import AdapterError
from tests.fakes.adapter_folder import write_adapter


def digest(folder: Path) -> str:
    return digest_of(folder_hashes(folder))


def test_a_digest_depends_on_names_and_bytes_alone(tmp_path: Path) -> None:
    one, same = write_adapter(tmp_path / "one"), write_adapter(tmp_path / "same")
    assert digest(one) == digest(same)
    (same / "adapter_config.json").rename(same / "vocab.json")
    assert digest(one) != digest(same)
    assert digest(one) != digest(write_adapter(tmp_path / "other", fill=2))


def test_names_and_hashes_cannot_be_shifted_into_each_other() -> None:
    assert digest_of({"a": "bc"}) != digest_of({"ab": "c"})
    assert digest_of({"a": "b", "c": "d"}) != digest_of({"a": "b\n1:c:d"})


def test_links_and_empty_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(AdapterError, match="does not exist"):
        folder_hashes(tmp_path / "empty")
    linked = write_adapter(tmp_path / "linked")
    (linked / "README.md").symlink_to("/etc/passwd")
    with pytest.raises(AdapterError, match="is a link"):
        folder_hashes(linked)


def test_what_trainers_leave_behind_is_no_part_of_an_adapter(tmp_path: Path) -> None:
    clean = folder_hashes(write_adapter(tmp_path / "clean"))
    trained = write_adapter(tmp_path / "trained")
    for name in (
        "training_args.bin",
        "optimizer.pt",
        "rng_state_0.pth",
        "checkpoint-100/adapter_model.bin",
        ".cache/x",
    ):
        (trained / name).parent.mkdir(exist_ok=True)
        (trained / name).write_bytes(b"pickle")
    assert folder_hashes(trained) == clean
    assert check_folder(trained, max_rank=16).rank == 8
