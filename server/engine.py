"""The interface between the replica and an engine. `vllm_engine` implements it over vLLM, tests with fakes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from patchbay.adapters.parity.file import ParityRow
from patchbay.adapters.parity.hypotheses import Rendered
from patchbay.core.asgi import ASGIApp
from patchbay.core.replica import BaseModelStatus, RequestStatus


@dataclass(frozen=True, slots=True)
class EngineLora:
    """A revision as the engine knows it: its engine name, its id and the folder of its files.

    `lora_id` is never used twice in an engine's life; `name` never means other bytes.
    """

    name: str
    lora_id: int
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraTiers:
    """The ids of the revisions that the engine reports: in host memory (`cpu`), and of those, in slots of the batch."""

    cpu: frozenset[int]
    slots: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraCapacity:
    """The numbers of revisions that fit into a batch (`slots`) and into host memory (`cpu`)."""

    slots: int
    cpu: int


NO_ADAPTERS: Final = LoraCapacity(slots=0, cpu=0)


class Scorer(Protocol):
    """The part of an engine that splits texts and scores tokens as it does for clients."""

    @property
    def max_length(self) -> int:
        """The most tokens of a prompt that it scores."""
        ...

    def vocabulary(self) -> str:
        """Hashes its tokenizer's tokens, as `vocabulary_digest` does. Blocks."""
        ...

    def render(self, row: ParityRow) -> Rendered | None:
        """Renders and splits a row's messages as those of a client, None where it cannot render them. Blocks."""
        ...

    async def logprobs(self, ids: Sequence[int], lora: EngineLora | None) -> tuple[float, ...]:
        """Computes the log-probabilities of `ids[1:]`, with the base alone where `lora` is None.

        Raises AdapterRejected where they cannot be computed, Unavailable where the engine dies.
        """
        ...


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

    @property
    def scorer(self) -> Scorer: ...

    async def load(self, lora: EngineLora) -> None:
        """Makes `lora` resident. Raises AdapterRejected where it cannot be; the engine then holds nothing of it."""
        ...

    async def remove(self, lora: EngineLora) -> None:
        """Frees what the engine holds of `lora`, once none of its unfinished requests uses it."""
        ...

    def in_use(self, name: str) -> bool:
        """Says whether a request that the engine has not yet finished uses the revision of this engine name."""
        ...

    async def tiers(self) -> LoraTiers:
        """Asks the engine which revisions are in host memory and in slots."""
        ...

    def watch(self, report: Callable[[str | None], None]) -> None:
        """Has `report` called for each request whose logits were not finite, before that request is answered.

        It gets the engine name of the revision, or None for the base model. Only one can watch.
        """
        ...

    def requests(self) -> RequestStatus:
        """Returns the load of the engine as of its last step: requests and KV cache."""
        ...

    def failure(self) -> str | None:
        """Returns the reason why the engine is dead, or None while it lives."""
        ...

    async def close(self) -> None:
        """Ends the engine and all its processes."""
        ...
