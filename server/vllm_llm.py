"""A front end of vLLM that explains why an answer ended with an error.

Either its logits were not finite, or no answer can have the form that was asked for.
"""

from collections.abc import AsyncGenerator, Callable
from typing import Any

import torch
from vllm.config import VllmConfig
from vllm.exceptions import GenerationError, VLLMValidationError
from vllm.v1.engine.async_llm import AsyncLLM

from patchbay.core.errors import NotFinite
from patchbay.server.vllm_scheduler import FORM_LEFT, NO_FORM, NOT_FINITE

_FORM = "The form that the answer is to have (a JSON schema, regular expression, grammar or tool)"
_FORM_FAULTS = {
    NO_FORM: f"{_FORM} cannot be compiled: the engine lacks something that it uses.",
    FORM_LEFT: f"{_FORM} allows nothing here, as a schema that refers only to itself, or other parameters of the "
    "request rule out all that it allows.",
}


def contain(config: VllmConfig) -> None:
    """Configures the engine to run our scheduler, which ends requests whose logits are not finite."""
    kind = "ContainingAsyncScheduler" if config.scheduler_config.async_scheduling else "ContainingScheduler"
    config.scheduler_config.scheduler_cls = f"patchbay.server.vllm_scheduler.{kind}"


class ContainedLLM(AsyncLLM):  # type: ignore[misc]
    """vLLM's `AsyncLLM`, with errors that say what was wrong with an answer.

    `report_not_finite`: called with the name of each LoRA, None for the base, whose answer was not finite.
    """

    report_not_finite: Callable[[str | None], None] | None = None

    async def generate(self, *args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        """Generates as vLLM does.

        Raises GenerationError with `NotFinite`'s words where logits were not finite, and VLLMValidationError where no
        answer can have the form that was asked for.
        """
        async for output in super().generate(*args, **kwargs):
            failed = (answer for answer in output.outputs if answer.finish_reason == "error")
            for reason in (answer.stop_reason for answer in failed):
                if reason == NOT_FINITE:
                    self._fail(kwargs.get("lora_request"))
                if reason in _FORM_FAULTS:
                    raise VLLMValidationError(_FORM_FAULTS[reason])
            yield output

    async def encode(self, *args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        """Embeds as vLLM does. Raises GenerationError with `NotFinite`'s words where the result is not finite."""
        async for output in super().encode(*args, **kwargs):
            data = getattr(output.outputs, "data", None)
            if isinstance(data, torch.Tensor) and not data.isfinite().all():
                self._fail(kwargs.get("lora_request"))
            yield output

    def _fail(self, lora: Any) -> None:
        name = None if lora is None else lora.lora_name
        if self.report_not_finite is not None:
            self.report_not_finite(name)
        raise GenerationError(NotFinite(name or "the base model").message)
