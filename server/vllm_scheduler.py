"""Schedulers for vLLM that contain faults: one request's must not reach another's answer.

They end a request whose logits are not finite, and share nothing of its KV cache. They also say where no answer can
have the form that was asked for (JSON schema, regular expression, grammar).

Runs in the engine core's process, which imports this module by its name.
"""

from typing import Any

from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.engine import EngineCoreOutput, EngineCoreOutputs, FinishReason
from vllm.v1.request import Request, RequestStatus

from patchbay.server.vllm_fixes import bound_whitespace_of_tools, zero_new_blocks

# Stop reasons of requests that ended with an error. This one: the logits were not finite.
NOT_FINITE = "patchbay_not_finite"
# The form does not compile, though vLLM's front end let it pass.
NO_FORM = "patchbay_no_form"
# A token had to be drawn that the form does not allow, since it, or the request's other parameters, left none.
FORM_LEFT = "patchbay_form_left"

# Called before a scheduler is made, because its constructor reads the setting.
zero_new_blocks()
bound_whitespace_of_tools()


class _Containment:
    """The containment of faults, mixed into vLLM's schedulers."""

    requests: dict[str, Request]
    grammar_compile_error_reqs: set[str]
    kv_cache_manager: Any

    def update_from_output(self, scheduler_output: Any, model_runner_output: Any) -> dict[int, EngineCoreOutputs]:
        """Ends what is not finite before the token that was drawn from it is sent; vLLM calls it after each step."""
        counts = model_runner_output.num_nans_in_logits or {}
        ended = self._end([request for request, count in counts.items() if count and request in self.requests])
        forms = self._forms(scheduler_output)
        outputs: dict[int, EngineCoreOutputs] = super().update_from_output(  # type: ignore[misc]
            scheduler_output, model_runner_output
        )
        for request in ended:
            outputs.setdefault(request.client_index, EngineCoreOutputs()).outputs.append(_failure(request))
        if forms:
            _explain(outputs, forms)
        return outputs

    def _forms(self, scheduler_output: Any) -> dict[str, str]:
        """Returns, by request id, the stop reason that would apply if the request failed in this step.

        It has only requests whose answers are to have a form. vLLM itself gives no reason.
        """
        forms = dict.fromkeys(self.grammar_compile_error_reqs, NO_FORM)
        if scheduler_output.has_structured_output_requests:
            scheduled = (self.requests.get(request_id) for request_id in scheduler_output.num_scheduled_tokens)
            forms |= {
                request.request_id: FORM_LEFT
                for request in scheduled
                if request is not None and request.use_structured_output
            }
        return forms

    def _end(self, request_ids: list[str]) -> list[Request]:
        for request_id in request_ids:
            # The prefix cache must not give another request the keys and values of this one.
            groups = self.kv_cache_manager.get_block_ids(request_id)
            self.kv_cache_manager.evict_blocks({block for group in groups for block in group if block})
        finish: Any = self.finish_requests  # type: ignore[attr-defined]
        ended: list[Request] = finish(request_ids, RequestStatus.FINISHED_ERROR) if request_ids else []
        return ended


def _explain(outputs: dict[int, EngineCoreOutputs], forms: dict[str, str]) -> None:
    for output in (output for client in outputs.values() for output in client.outputs):
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
    """The scheduler for engines that wait for each step."""


class ContainingAsyncScheduler(_Containment, AsyncScheduler):  # type: ignore[misc]
    """The scheduler for engines that schedule a step while the one before it runs."""
