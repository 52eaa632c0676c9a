"""The staging folder: private, and nothing in it outlives its process for long."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from adapters.workdirs import Workdirs

HOLD = "import sys, time\nfrom pathlib import Path\nfrom adapters.workdirs import Workdirs\n" + (
    "with Workdirs(Path(sys.argv[1])).new('upload') as folder:\n"
    "    (folder / 'half').write_bytes(b'x')\n    print(folder, flush=True)\n    time.sleep(600)\n"
)


def test_a_folder_is_private_and_gone_with_its_block(tmp_path: Path) -> None:
    workdirs = Workdirs(tmp_path / "staging")
    with workdirs.new("push") as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert workdirs.root.stat().st_mode & 0o777 == 0o700
    assert not list(workdirs.root.iterdir())


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_uses_is_not(tmp_path: Path) -> None:
    workdirs = Workdirs(tmp_path / "staging")
    command = [sys.executable, "-c", HOLD, str(workdirs.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        assert workdirs.clean() == 0
        assert (folder / "half").exists()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert workdirs.clean() == 1
    assert not list(workdirs.root.iterdir())
