"""A base on a stack of its own, and what is done to it: adapters are pushed and promoted, and asked."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests.servers import free_port
from patchbay.adapters.artifacts.store import ArtifactStore
from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.config import RegistryConfig
from patchbay.adapters.lifecycle import Lifecycle
from patchbay.adapters.publish import Publisher, PushRequest
from patchbay.launch.subprocesses import patchbay_up
from patchbay.registry.registry import Registry

NAME = "base"
_ROLLOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class ServedBase:
    """A running stack. `url`: of its router; `model`: the base's folder; `registry`: where its adapters are."""

    url: str
    model: Path
    registry: RegistryConfig

    def serve(self, name: str, adapter: str) -> None:
        """Pushes the adapter at `adapter` and promotes it. Raises AdapterError or Conflict where it is refused."""
        with Registry.open(self.registry.url.get_secret_value()) as registry:
            publisher = Publisher(registry, ArtifactStore.open(self.registry.artifacts), self.registry)
            base = BaseLayout.of_folder(self.model)
            pushed = publisher.push(PushRequest(name, adapter, authority="operator"), actor="bases", base=base)
            lifecycle = Lifecycle(registry)
            moved = lifecycle.promote(pushed.revision.name, actor="bases")
            if moved.rollout is not None:
                lifecycle.wait_for_rollout(moved.rollout, timeout_s=_ROLLOUT_S)
            lifecycle.wait_until_live(registry.generation())


@contextlib.contextmanager
def served_base(model: Path, folder: Path, *, base: dict[str, Any] | None = None, dtype: str) -> Iterator[ServedBase]:
    """Serves the base in the folder `model` with `patchbay up`. Raises StartError where it does not start.

    `folder`: for the stack's files; `base`: the configuration's section of it, where that was printed; `dtype`: in
    which the engine computes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    registry = {"url": f"sqlite:///{folder / 'registry.db'}", "artifacts": {"url": str(folder / "artifacts")}}
    config = {
        "base": {"model": str(model), "name": NAME, **(base or {}), "dtype": dtype, "max_model_len": 256},
        "adapters": {},
        "engine": {"enforce_eager": True},
        "lora": {"max_loras": 2, "max_rank": 16},
        "replicas": {"first_port": free_port()},
        "router": {"port": port, "admin_port": free_port()},
        "registry": registry,
    }
    with patchbay_up(config, folder):
        yield ServedBase(f"http://127.0.0.1:{port}", model, RegistryConfig.model_validate(registry))
