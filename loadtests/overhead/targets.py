"""The routers that are compared, and how each is started in front of the fake engine."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import psutil
import yaml

from patchbay.core.errors import StartError

PEERS = Path("build/peers")
FULL = "patchbay, able to carry on"
_START_S = 90.0
_ASK = {"model": "fake", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a router: where it listens, what it fronts, and a folder for its files."""

    port: int
    engine: str
    folder: Path


@dataclass(frozen=True, slots=True)
class Target:
    """A router that is compared. `command`: starts it at a place; `needs`: the program that must be there."""

    name: str
    needs: Path
    command: Callable[[Place], list[str]]


def _patchbay(place: Place) -> list[str]:
    flags = ["--replica", place.engine, "--port", str(place.port), "--admin-port", str(free_port())]
    return [sys.executable, "-m", "patchbay.router", *flags]


def _patchbay_that_carries_on(place: Place) -> list[str]:
    return _patchbay(replace(place, engine=f"{place.engine}/ours"))


def _rust(name: str) -> Callable[[Place], list[str]]:
    def command(place: Place) -> list[str]:
        module = f"{name}.launch_router"
        python = str(PEERS.absolute() / name.replace("_", "-") / "bin" / "python")
        where = ["--host", "127.0.0.1", "--port", str(place.port), "--worker-urls", place.engine]
        quiet = ["--policy", "round_robin", "--log-level", "error", "--prometheus-port", str(free_port())]
        return [python, "-m", module, *where, *quiet]

    return command


def _litellm(place: Place) -> list[str]:
    model = {"model": "openai/fake", "api_base": f"{place.engine}/v1", "api_key": "none"}
    config = {"model_list": [{"model_name": "fake", "litellm_params": model}]}
    file = place.folder / "litellm.yaml"
    file.write_text(yaml.safe_dump(config))
    program = str(PEERS.absolute() / "litellm" / "bin" / "litellm")
    # It wants a master key even on loopback, which would add a database to what is measured.
    open_door = ["env", "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY=true"]
    return [*open_door, program, "--config", str(file), "--host", "127.0.0.1", "--port", str(place.port)]


def _nginx(place: Place) -> list[str]:
    upstream = place.engine.removeprefix("http://")
    file = place.folder / "nginx.conf"
    file.write_text(
        f"daemon off; pid {place.folder}/nginx.pid; error_log stderr error; worker_processes 1;\n"
        "events { worker_connections 20000; }\n"
        "http { access_log off; keepalive_requests 10000000;\n"
        f" upstream engine {{ server {upstream}; keepalive 512; keepalive_requests 10000000; }}\n"
        f" server {{ listen 127.0.0.1:{place.port}; location / {{ proxy_pass http://engine; proxy_buffering off;\n"
        ' proxy_http_version 1.1; proxy_set_header Connection ""; } } }\n'
    )
    return ["/usr/sbin/nginx", "-c", str(file), "-p", str(place.folder)]


TARGETS = (
    Target("nginx", Path("/usr/sbin/nginx"), _nginx),
    Target("vllm-router", PEERS / "vllm-router/bin/python", _rust("vllm_router")),
    Target("sglang-router", PEERS / "sglang-router/bin/python", _rust("sglang_router")),
    Target("patchbay", Path(sys.executable), _patchbay),
    Target(FULL, Path(sys.executable), _patchbay_that_carries_on),
    Target("litellm", PEERS / "litellm/bin/litellm", _litellm),
)


def elsewhere(ours: Target, folder: Path) -> Target:
    """Makes the target of `ours` as another checkout in `folder` has it, with its own `.venv` where it has one."""
    there = folder.absolute()
    python = there / ".venv" / "bin" / "python"

    def command(place: Place) -> list[str]:
        executable, *rest = ours.command(place)
        started = [str(python) if python.exists() else executable, *rest]
        if (there / "src").is_dir():
            return ["env", "-C", str(there), f"PYTHONPATH={there / 'src'}", *started]
        # Before everything was imported as `patchbay.*`, the router's package lay at the top.
        return ["env", "-C", str(there), *(part.removeprefix("patchbay.") for part in started)]

    return Target(f"patchbay in {folder.name}", ours.needs, command)


class Running:
    """A router that runs. `url`: its address."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], url: str) -> None:
        self.name = name
        self.url = url
        self._root = psutil.Process(process.pid)

    def cpu_s(self) -> float:
        """The CPU seconds of all its processes so far."""
        return sum(sum(process.cpu_times()[:2]) for process in self._processes())

    def rss_mib(self) -> float:
        """The resident memory of all its processes."""
        return sum(float(process.memory_info().rss) for process in self._processes()) / 2**20

    def _processes(self) -> list[psutil.Process]:
        return [self._root, *self._root.children(recursive=True)]


@contextlib.contextmanager
def running_engine() -> Iterator[str]:
    """Runs the fake engine in a process of its own, and yields its address."""
    port = free_port()
    with _process([sys.executable, "-m", "loadtests.overhead.engine", str(port)], Path("/dev/null")) as process:
        url = f"http://127.0.0.1:{port}"
        _until_answers(process, url)
        yield url


@contextlib.contextmanager
def running(target: Target, engine: str, folder: Path) -> Iterator[Running]:
    """Runs `target` in front of `engine`, for the block, and yields it once it answers. Raises StartError where it does
    not start.

    `folder`: the folder for its files and its log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place = Place(free_port(), engine, folder)
    with _process(target.command(place), folder / "log") as process:
        url = f"http://127.0.0.1:{place.port}"
        _until_answers(process, url)
        yield Running(target.name, process, url)


@contextlib.contextmanager
def _process(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            yield process
        finally:
            children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
            for child in children:
                with contextlib.suppress(psutil.Error):
                    child.kill()


def _until_answers(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.post(f"{url}/v1/chat/completions", json=_ASK, timeout=5).status_code == 200:
                return
        time.sleep(0.2)
    raise StartError(f"{' '.join(process.args) if isinstance(process.args, list) else url} does not answer.")


def free_port() -> int:
    """A port that nobody listened on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
