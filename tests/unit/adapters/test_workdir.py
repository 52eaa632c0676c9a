"""Working folders: gone with their block, and with their process."""

import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from patchbay.adapters.workdir import remove_leftovers, staged, without_workdirs, workdir
from patchbay.core.errors import ArtifactError

_HOLDS = """
import sys
from pathlib import Path
from patchbay.adapters.workdir import staged
with staged("push", Path(sys.argv[1])) as made:
    (made / "adapter.bin").write_bytes(b"weights")
    print(made, flush=True)
    sys.stdin.readline()
"""


def test_a_folder_goes_with_its_block_unless_it_was_renamed(tmp_path: Path) -> None:
    with workdir("pull", within=tmp_path) as made:
        (made / "file").write_text("x")
    assert list(tmp_path.iterdir()) == []
    with workdir("pull", within=tmp_path) as made:
        (made / "file").write_text("x")
        made.rename(tmp_path / "kept")
    assert (tmp_path / "kept" / "file").read_text() == "x"


def test_only_its_user_can_read_it_and_the_folder_around_a_target_stays_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with workdir("pull", within=tmp_path) as made:
        assert made.stat().st_mode & 0o777 == 0o700
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_the_staging_folder_is_private_too(tmp_path: Path) -> None:
    root = tmp_path / "data" / "staging"
    root.mkdir(parents=True, mode=0o755)
    with staged("push", root) as made:
        assert made.parent == root
        assert root.stat().st_mode & 0o777 == 0o700
    assert list(root.iterdir()) == []


def test_what_a_killed_process_left_is_removed_at_once_and_what_a_live_one_holds_is_not(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _HOLDS, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        assert remove_leftovers(tmp_path) == 0
        assert (left / "adapter.bin").exists()
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert left.exists()
    assert remove_leftovers(tmp_path) == 1
    assert not left.exists()


def test_the_next_folder_in_the_same_place_removes_what_was_left(tmp_path: Path) -> None:
    left = Path(tempfile.mkdtemp(prefix=".patchbay-work-pull-", dir=tmp_path))
    with workdir("push", within=tmp_path):
        assert not left.exists()


def test_nobody_who_cleans_up_takes_a_folder_that_is_being_made(tmp_path: Path) -> None:
    ended = threading.Event()

    def clean() -> None:
        while not ended.is_set():
            remove_leftovers(tmp_path)

    cleaner = threading.Thread(target=clean)
    cleaner.start()
    try:
        for _ in range(200):
            with workdir("push", within=tmp_path) as made:
                (made / "file").write_text("x")
    finally:
        ended.set()
        cleaner.join()
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ArtifactError, match="cannot be written"), workdir("pull", within=tmp_path / "none"):
        pass
    with pytest.raises(ArtifactError, match=r"registry\.sources\.staging"), staged("push", tmp_path / "file" / "a"):
        pass


def test_a_link_and_other_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / ".patchbay-work-push-link").symlink_to(tmp_path / "precious")
    (tmp_path / "patchbay-push-mine").mkdir()
    assert remove_leftovers(tmp_path) == 0
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("R/.patchbay-work-push-a_b1/unpacked/adapter_config.json: r is 0", "adapter_config.json: r is 0"),
        ("R/.patchbay-work-push-a1/fetched/oci/x/y.json cannot be read", "x/y.json cannot be read"),
        ("R/.patchbay-work-upload-a1/upload.tar.gz: the member d is a link", "upload.tar.gz: the member d is a link"),
        ("R/.patchbay-work-push-a1/unpacked holds more", "the adapter holds more"),
        ("too long: 'R/.patchbay-work-push-a1/fetched/oci/aaa'", "too long: 'aaa'"),
        ("R/.patchbay-work-push-a1/unpacked-x/y: z", "unpacked-x/y: z"),
        ("oci://h/x:1 cannot be reached", "oci://h/x:1 cannot be reached"),
    ],
)
def test_a_publisher_learns_where_a_server_keeps_files(tmp_path: Path, told: str, shown: str) -> None:
    root = tmp_path / "with spaces (and more)"
    assert without_workdirs(told.replace("R", str(root)), root) == shown
