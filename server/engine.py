"""What the rest of the replica needs of an engine. `vllm_engine` is the real one."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from patchbay.core.asgi import ASGIApp
from patchbay.core.replica import BaseModelStatus, RequestStatus


@dataclass(frozen=True, slots=True)
class EngineLora:
    """A revision as the engine knows it. `lora_id` is never used twice in an engine's life, `name` never at all."""

    name: str
    lora_id: int
    folder: Path


@dataclass(frozen=True, slots=True)
class LoraTiers:
    """The ids that the engine itself says it holds: in host memory, and of those, in a slot of the batch."""

    cpu: frozenset[int]
    slots: frozenset[int]


@dataclass(frozen=True, slots=True)
class LoraCapacity:
    """How many revisions fit into a batch (`slots`) and into host memory (`cpu`)."""

    slots: int
    cpu: int


class Engine(Protocol):
    """An engine that has its base model loaded and runs requests."""

    @property
    def base(self) -> BaseModelStatus: ...

    @property
    def tasks(self) -> tuple[str, ...]: ...

    @property
    def capacity(self) -> LoraCapacity: ...

    @property
    def app(self) -> ASGIApp:
        """The engine's own HTTP endpoints. It knows revisions by their engine names."""
        ...

    async def load(self, lora: EngineLora) -> None:
        """Makes `lora` resident. Raises AdapterRejected where it cannot be; the engine then holds nothing of it."""
        ...

    async def remove(self, lora: EngineLora) -> None:
        """Frees what the engine holds of `lora`, once none of its unfinished requests uses it."""
        ...

    def in_use(self, name: str) -> bool:
        """Whether a request that the engine has not yet finished uses the revision of this engine name."""
        ...

    async def tiers(self) -> LoraTiers:
        """Which revisions are where, as the engine itself says."""
        ...

    def watch(self, told: Callable[[str | None], None]) -> None:
        """Has `told` called with the engine's name of each revision whose logits were not finite, None for the base's,
        once a request, before that is answered. Only one can watch."""
        ...

    def requests(self) -> RequestStatus:
        """The engine's requests and KV cache, as of its last step."""
        ...

    def failure(self) -> str | None:
        """Why the engine is dead, or None while it lives."""
        ...

    async def close(self) -> None:
        """Ends the engine and every process of it."""
        ...
