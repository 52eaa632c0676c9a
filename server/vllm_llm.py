"""vLLM's front end, but that an answer whose logits were not finite ends with an error that says so."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

import torch
from vllm.config import VllmConfig
from vllm.exceptions import GenerationError
from vllm.v1.engine.async_llm import AsyncLLM

from adapters.errors import NotFinite
from server.vllm_scheduler import NOT_FINITE


def contain(config: VllmConfig) -> None:
    """Has the engine of this configuration run the scheduler that ends what is not finite."""
    kind = "ContainingAsyncScheduler" if config.scheduler_config.async_scheduling else "ContainingScheduler"
    config.scheduler_config.scheduler_cls = f"server.vllm_scheduler.{kind}"


class ContainedLLM(AsyncLLM):  # type: ignore[misc]
    """`AsyncLLM`. `told`: called with the name of a LoRA, None for the base, whose answer was not finite."""

    told: Callable[[str | None], None] | None = None

    async def generate(self, *args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        """As vLLM's. Raises GenerationError with `NotFinite`'s words."""
        async for output in super().generate(*args, **kwargs):
            if any(one.finish_reason == "error" and one.stop_reason == NOT_FINITE for one in output.outputs):
                self._fail(kwargs.get("lora_request"))
            yield output

    async def encode(self, *args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        """As vLLM's, for embeddings. Raises GenerationError with `NotFinite`'s words."""
        async for output in super().encode(*args, **kwargs):
            data = getattr(output.outputs, "data", None)
            if isinstance(data, torch.Tensor) and not data.isfinite().all():
                self._fail(kwargs.get("lora_request"))
            yield output

    def _fail(self, lora: Any) -> None:
        name = None if lora is None else lora.lora_name
        if self.told is not None:
            self.told(name)
        raise GenerationError(NotFinite(name or "the base model").message)
