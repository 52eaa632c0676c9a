"""One `patchbay up` has a project directory at a time, and the next is told by whom."""

import os
from pathlib import Path

import pytest

from patchbay.core.data_lock import sole_user
from patchbay.core.errors import StartError


def test_a_second_up_on_one_data_directory_is_refused_with_the_first_ones_process(tmp_path: Path) -> None:
    with sole_user(tmp_path), pytest.raises(StartError, match=f"process {os.getpid()}"), sole_user(tmp_path):
        pass
    with sole_user(tmp_path):
        pass


def test_two_data_directories_do_not_know_of_each_other(tmp_path: Path) -> None:
    with sole_user(tmp_path / "a"), sole_user(tmp_path / "b"):
        pass
