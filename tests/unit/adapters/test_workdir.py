"""Working folders: gone with their block, and with their process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from adapters.workdir import remove_leftovers, workdir

_HOLDS = """
import sys
from pathlib import Path
from adapters.workdir import workdir
with workdir("push", within=Path(sys.argv[1])) as made:
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


def test_what_a_killed_process_left_is_removed_and_what_a_live_one_holds_is_not(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _HOLDS, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        assert remove_leftovers(tmp_path, older_than_s=0) == 0
        assert (left / "adapter.bin").exists()
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert left.exists()
    assert remove_leftovers(tmp_path) == 0, "one that was made just now may not be locked yet"
    os.utime(left, (0, 0))
    with workdir("push", within=tmp_path):
        assert not left.exists()


def test_a_link_and_other_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / ".patchbay-work-push-link").symlink_to(tmp_path / "precious")
    (tmp_path / "patchbay-push-mine").mkdir()
    assert remove_leftovers(tmp_path, older_than_s=-1) == 0
    assert len(list(tmp_path.iterdir())) == 3
