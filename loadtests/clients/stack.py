"""The demo as `patchbay up` starts it, but on ports of its own, and opened by a key, as clients are used to."""

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from loadtests.clients.running import Place
from patchbay.core.yaml_text import yaml_text
from patchbay.launch.subprocesses import running

_KEY = "clients-of-the-demo"


@contextlib.contextmanager
def demo(port: int) -> Iterator[Place]:
    """The demo from when it is ready, its router on this port; the next is its operators', and the replica's is 1000
    above. Raises StartError."""
    from patchbay.launch.demo import demo_models, demo_sections

    models = demo_models(quiet=True)
    place = Place(f"http://127.0.0.1:{port}", _KEY, models.base)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "patchbay.yaml"
        file.write_text(yaml_text(demo_sections(models) | _own_sections(port, folder)), encoding="utf-8")
        command = [sys.executable, "-m", "patchbay", "up", "--config", str(file)]
        with running(command, folder / "log", lambda: _is_ready(place, set(models.adapters)), data=folder):
            yield place


def elsewhere(url: str, key: str | None) -> Place:
    """A demo that runs already. `key`: None where it is open."""
    from patchbay.launch.demo import demo_models

    return Place(url.rstrip("/"), key, demo_models(quiet=True).base)


def _own_sections(port: int, folder: Path) -> dict[str, Any]:
    return {
        "replicas": {"first_port": port + 1000},
        "router": {"port": port, "admin_port": port + 1, "api_keys": [_KEY]},
        "registry": {"url": f"sqlite:///{folder / 'registry.db'}", "artifacts": str(folder / "artifacts")},
    }


def _is_ready(place: Place, adapters: set[str]) -> bool:
    response = httpx.get(f"{place.url}/v1/models", headers={"authorization": f"Bearer {place.key}"})
    return response.is_success and adapters <= {model["id"] for model in response.json()["data"]}
