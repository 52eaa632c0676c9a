"""vLLM's scheduler, but that it ends a request whose logits are not finite, and shares nothing of its KV cache; and
that it says where no answer can have the form that was asked for (JSON schema, regular expression, grammar).

Runs in the engine core's process, which imports this module by its name.
"""

from typing import Any

from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.engine import EngineCoreOutput, EngineCoreOutputs, FinishReason
from vllm.v1.request import Request, RequestStatus

from patchbay.server.vllm_fixes import zero_new_blocks

# Told as the stop reason of a request that ended with an error.
NOT_FINITE = "patchbay_not_finite"
# The form does not compile, though vLLM's front end let it pass.
NO_FORM = "patchbay_no_form"
# A token had to be drawn that the form does not allow, since it, or the request's other parameters, left none.
FORM_LEFT = "patchbay_form_left"

# Before a scheduler is made, which asks for it.
zero_new_blocks()


class _Containment:
    """Mixed into vLLM's schedulers."""

    requests: dict[str, Request]
    grammar_compile_error_reqs: set[str]
    kv_cache_manager: Any

    def update_from_output(self, scheduler_output: Any, model_runner_output: Any) -> dict[int, EngineCoreOutputs]:
        """Called by vLLM after each step. What is not finite ends before the token that was drawn of it is told."""
        counts = model_runner_output.num_nans_in_logits or {}
        ended = self._end([one for one, count in counts.items() if count and one in self.requests])
        forms = self._forms(scheduler_output)
        outputs: dict[int, EngineCoreOutputs] = super().update_from_output(  # type: ignore[misc]
            scheduler_output, model_runner_output
        )
        for request in ended:
            outputs.setdefault(request.client_index, EngineCoreOutputs()).outputs.append(_failure(request))
        if forms:
            _tell(outputs, forms)
        return outputs

    def _forms(self, scheduler_output: Any) -> dict[str, str]:
        """What it would mean if these requests failed in this step: those whose answers are to have a form."""
        forms = dict.fromkeys(self.grammar_compile_error_reqs, NO_FORM)
        if scheduler_output.has_structured_output_requests:
            scheduled = (self.requests.get(one) for one in scheduler_output.num_scheduled_tokens)
            forms |= {one.request_id: FORM_LEFT for one in scheduled if one is not None and one.use_structured_output}
        return forms

    def _end(self, request_ids: list[str]) -> list[Request]:
        for request_id in request_ids:
            groups = self.kv_cache_manager.get_block_ids(request_id)
            self.kv_cache_manager.evict_blocks({block for group in groups for block in group if block})
        finish: Any = self.finish_requests  # type: ignore[attr-defined]
        ended: list[Request] = finish(request_ids, RequestStatus.FINISHED_ERROR) if request_ids else []
        return ended


def _tell(outputs: dict[int, EngineCoreOutputs], forms: dict[str, str]) -> None:
    for output in (one for client in outputs.values() for one in client.outputs):
        if output.finish_reason == FinishReason.ERROR and output.stop_reason is None:
            output.stop_reason = forms.get(output.request_id)


def _failure(request: Request) -> EngineCoreOutput:
    return EngineCoreOutput(
        request_id=request.request_id,
        new_token_ids=[],
        finish_reason=request.get_finished_reason(),
        stop_reason=NOT_FINITE,
        events=request.take_events(),
        trace_headers=request.trace_headers,
        num_nans_in_logits=1,
    )


class ContainingScheduler(_Containment, Scheduler):  # type: ignore[misc]
    """The one for engines that wait for each step."""


class ContainingAsyncScheduler(_Containment, AsyncScheduler):  # type: ignore[misc]
    """The one for engines that schedule a step while the one before it runs."""
