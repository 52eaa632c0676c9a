"""Servers in processes of their own that run as long as a block: a whole `patchbay up`, or any other."""

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
import yaml

from patchbay.core.errors import StartError

# Generous, because on a busy machine a base model takes minutes to load.
_START_S = 600.0
_POLL_S = 0.3
_LOG_TAIL_CHARACTERS = 600
_QUIET = {"VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "ERROR", "VLLM_CPU_KVCACHE_SPACE": "1"}


@contextlib.contextmanager
def patchbay_up(config: dict[str, Any], folder: Path, *, hint: str | None = None) -> Iterator[int]:
    """Runs `patchbay up` with this configuration, and yields its process id.

    The block begins when the router is ready and lists all adapters. `folder`: for the configuration and the log.
    Raises StartError, with `hint`, where it does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "patchbay.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    command = [sys.executable, "-m", "patchbay", "up", "--config", str(file)]
    url = f"http://127.0.0.1:{config['router']['port']}"

    def is_ready() -> bool:
        return httpx.get(f"{url}/healthz").status_code == httpx.codes.OK and lists(url, config["adapters"])

    with running(command, folder / "log", is_ready, hint=hint) as pid:
        yield pid


@contextlib.contextmanager
def running(command: list[str], log: Path, is_ready: Callable[[], bool], *, hint: str | None = None) -> Iterator[int]:
    """Runs a process that writes to `log`, and yields its id once it is ready. At the end it is stopped as by Ctrl-C.

    `is_ready`: is polled, and may raise httpx.HTTPError. Raises StartError, with `hint`, where the process ends before
    it is ready, or takes too long.
    """
    env = os.environ | _QUIET
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file, env=env) as process:
        try:
            _wait(is_ready, process, log, hint)
            yield process.pid
        finally:
            process.send_signal(signal.SIGINT)


def lists(url: str, names: Collection[str]) -> bool:
    """Says whether the server's list of models has all of `names`. Raises httpx.HTTPError."""
    response = httpx.get(f"{url}/v1/models")
    return response.is_success and {*names} <= {model["id"] for model in response.json()["data"]}


def _wait(is_ready: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path, hint: str | None) -> None:
    deadline_s = time.monotonic() + _START_S
    while time.monotonic() < deadline_s and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if is_ready():
                return
        time.sleep(_POLL_S)
    log_tail = log.read_text(encoding="utf-8", errors="replace")[-_LOG_TAIL_CHARACTERS:].strip()
    raise StartError(f"It does not start: {log_tail or 'it says nothing'}", hint=hint)
