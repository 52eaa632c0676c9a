"""Servers in processes of their own, for as long as a block lasts: a whole `patchbay up`, or any other."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import httpx

from patchbay.core.errors import StartError
from patchbay.core.yaml_text import yaml_text

# Generous: beside other work a base takes minutes to load.
_START_S = 600.0
_LOOK_S = 0.3
_END_OF_LOG = 600
_QUIET = {"VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "ERROR", "VLLM_CPU_KVCACHE_SPACE": "1"}


@contextlib.contextmanager
def patchbay_up(config: dict[str, Any], folder: Path, *, hint: str | None = None) -> Iterator[int]:
    """`patchbay up` with this configuration, its files in `folder`, from when its router is ready and lists all its
    adapters; its process id. Raises StartError, with `hint`, where it does not start."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "patchbay.yaml"
    file.write_text(yaml_text(config), encoding="utf-8")
    command = [sys.executable, "-m", "patchbay", "up", "--config", str(file)]
    url = f"http://127.0.0.1:{config['router']['port']}"

    def is_ready() -> bool:
        return httpx.get(f"{url}/healthz").status_code == httpx.codes.OK and lists(url, config["adapters"])

    with running(command, folder / "log", is_ready, hint=hint) as pid:
        yield pid


@contextlib.contextmanager
def running(command: list[str], log: Path, is_ready: Callable[[], bool], *, hint: str | None = None) -> Iterator[int]:
    """A process that writes to `log`, from when it is ready, by its id; it is ended as by Ctrl-C. `is_ready`: may raise
    httpx.HTTPError. Raises StartError, with `hint`, where it ends before, or takes too long."""
    env = os.environ | _QUIET
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file, env=env) as process:
        try:
            _wait(is_ready, process, log, hint)
            yield process.pid
        finally:
            process.send_signal(signal.SIGINT)


def lists(url: str, names: Collection[str]) -> bool:
    """Whether the server's list of models has all of `names`. Raises httpx.HTTPError."""
    response = httpx.get(f"{url}/v1/models")
    return response.is_success and {*names} <= {one["id"] for one in response.json()["data"]}


def _wait(is_ready: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path, hint: str | None) -> None:
    end_s = time.monotonic() + _START_S
    while time.monotonic() < end_s and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if is_ready():
                return
        time.sleep(_LOOK_S)
    said = log.read_text(encoding="utf-8", errors="replace")[-_END_OF_LOG:].strip()
    raise StartError(f"It does not start: {said or 'it says nothing'}", hint=hint)
