"""A process that `multiprocessing` started does not outlive the one that started it, even where that is killed."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

_SPAWNER = """
import multiprocessing, signal, time

from patchbay.core.prctl import end_with_spawner


def core(told):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end_with_spawner()
    told.send(None)
    time.sleep(600)


if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=core, args=(there,))
    process.start()
    here.recv()
    print(process.pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can do this")
def test_a_spawned_process_is_killed_with_its_spawner(tmp_path: Path) -> None:
    file = tmp_path / "spawner.py"
    file.write_text(_SPAWNER)
    root = str(Path(__file__).parents[3] / "src")
    with subprocess.Popen(
        [sys.executable, file], stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": root}
    ) as spawner:
        assert spawner.stdout is not None
        core = psutil.Process(int(spawner.stdout.readline()))
        spawner.kill()
        _, alive = psutil.wait_procs([core], timeout=30)
        assert not alive
