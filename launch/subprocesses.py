"""Servers in processes of their own that run as long as a block: a whole `patchbay up`, or any other."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import httpx

from patchbay.core.admin_token import own_token, token_path
from patchbay.core.errors import StartError
from patchbay.core.yaml_text import yaml_text

# Generous, because on a busy machine a base model takes minutes to load.
_START_S = 600.0
_POLL_S = 0.3
_LOG_TAIL_CHARACTERS = 600
_QUIET = {"VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "ERROR", "VLLM_CPU_KVCACHE_SPACE": "1"}


@contextlib.contextmanager
def patchbay_up(config: dict[str, Any], folder: Path) -> Iterator[int]:
    """Runs `patchbay up` with this configuration, and yields its process id once its router is ready and lists all
    adapters. `folder`: for its files. It has state of its own, so that it runs beside others, with this
    user's admin token. Raises StartError where it does not start."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "patchbay.yaml"
    file.write_text(yaml_text(config), encoding="utf-8")
    command = [sys.executable, "-m", "patchbay", "up", "--config", str(file)]
    url = f"http://127.0.0.1:{config['router']['port']}"

    def is_ready() -> bool:
        return httpx.get(f"{url}/healthz").status_code == httpx.codes.OK and lists(url, config["adapters"])

    with running(command, folder / "log", is_ready, data=_own_data(folder / "data")) as pid:
        yield pid


@contextlib.contextmanager
def running(command: list[str], log: Path, is_ready: Callable[[], bool], *, data: Path | None = None) -> Iterator[int]:
    """A process that writes to `log`, from when it is ready, by its id; it is ended as by Ctrl-C. `is_ready`: may raise
    httpx.HTTPError; `data`: where its state is, by default this process'. Raises StartError where it ends before, or
    takes too long."""
    env = os.environ | _QUIET | ({"PATCHBAY_DATA_DIR": str(data)} if data is not None else {})
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file, env=env) as process:
        try:
            _wait(is_ready, process, log)
            yield process.pid
        finally:
            process.send_signal(signal.SIGINT)


def _own_data(folder: Path) -> Path:
    """Project and user directory for somebody else's process, opened by this user's admin token."""
    own_token(token_path())
    folder.mkdir(mode=0o700, exist_ok=True)
    shutil.copy(token_path(), folder / token_path().name)
    return folder


def lists(url: str, names: Collection[str]) -> bool:
    """Says whether the server's list of models has all of `names`. Raises httpx.HTTPError."""
    response = httpx.get(f"{url}/v1/models")
    return response.is_success and {*names} <= {model["id"] for model in response.json()["data"]}


def _wait(is_ready: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path) -> None:
    end_s = time.monotonic() + _START_S
    while time.monotonic() < end_s and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if is_ready():
                return
        time.sleep(_POLL_S)
    said = log.read_text(encoding="utf-8", errors="replace")[-_LOG_TAIL_CHARACTERS:].strip()
    raise StartError(f"It does not start: {_reason(said) or 'it says nothing'}")


def _reason(said: str) -> str:
    """The last words of a process, without what goes before a command's own last line."""
    _, found, last = f"\n{said}".rpartition("\nerror: ")
    return last if found else said
