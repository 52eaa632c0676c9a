"""What people do from outside a server: push into a registry, and move its channels."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from patchbay.adapters.artifacts.store import ArtifactStore
from patchbay.adapters.config import MAX_RANK, RegistryConfig
from patchbay.adapters.lifecycle import Lifecycle
from patchbay.adapters.publish import Publisher, PushRequest
from patchbay.registry.records import Revision
from patchbay.registry.registry import Registry
from tests.fakes.adapter_folder import write_adapter


class Installation:
    """A registry on SQLite and an artifact store, both in `folder`, and what works on them."""

    def __init__(self, folder: Path, settings: RegistryConfig, max_rank: int) -> None:
        self.folder = folder
        self.settings = settings
        self.registry = Registry.open(settings.url.get_secret_value())
        self.store = ArtifactStore.open(settings.artifacts)
        self.publisher = Publisher(self.registry, self.store, settings, max_rank=max_rank)
        self.lifecycle = Lifecycle(self.registry)

    @classmethod
    @contextmanager
    def at(cls, folder: Path, *, max_rank: int = MAX_RANK, **changes: Any) -> Iterator[Self]:
        """A desk that is closed with the block. `changes`: of the registry's settings."""
        installation = cls(folder, registry_settings(folder, **changes), max_rank)
        try:
            yield installation
        finally:
            installation.registry.close()

    def push(self, adapter: str = "sql", fill: int = 1) -> Revision:
        """Pushes a small adapter whose bytes differ by `fill`."""
        source = write_adapter(self.folder / "sources" / f"{adapter}-{fill}", fill=fill)
        return self.publisher.push(PushRequest(adapter, str(source)), actor="ml").revision


def registry_settings(folder: Path, **changes: Any) -> RegistryConfig:
    """The settings of the registry and the store in `folder`."""
    sources = {"staging": str(folder / "staging"), **changes.pop("sources", {})}
    data = {"url": f"sqlite:///{folder / 'registry.db'}", "artifacts": {"url": str(folder / "artifacts")}}
    return RegistryConfig.model_validate(data | {"sources": sources} | changes)
