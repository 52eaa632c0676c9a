"""The detection of requests whose logits are not finite, in vLLM's worker, before anything is done to those logits.

A client's own sampling parameters can turn good logits into infinities (a repetition penalty near zero). So the logits
are checked as the model gave them.
"""

import os
from typing import Any

import torch
from torch import Tensor
from vllm.v1.worker.gpu_model_runner import GPUModelRunner


def not_finite_rows(logits: Tensor) -> Tensor:
    """Marks the rows of `logits` [rows, vocabulary] that are not finite. Returns [rows, 1]: NaN for these, else 0.

    A row is finite where its largest value is: NaN and infinity are the largest of any row that has one. Minus
    infinity, which some models give to tokens that they never say, is the largest only where nothing else is left.
    """
    largest = logits.amax(dim=-1, keepdim=True)
    return torch.where(largest.isfinite(), 0.0, float("nan"))


def merge_by_request(marks: Tensor, rows: list[int]) -> Tensor:
    """Merges the marks [rows, 1] of requests that have `rows` rows each, in order. Returns [requests, 1]."""
    return torch.stack([part.amax(dim=0) for part in torch.split(marks, rows)])


def mark_requests() -> None:
    """Makes workers report in `num_nans_in_logits` the requests whose logits are not finite."""
    os.environ["VLLM_COMPUTE_NANS_IN_LOGITS"] = "1"
    if getattr(GPUModelRunner, "patchbay_marks", None) is not None:
        return
    inherited_sample = GPUModelRunner.sample_tokens
    inherited_bookkeeping = GPUModelRunner._bookkeeping_sync  # noqa: SLF001

    def sample_tokens(self: Any, grammar_output: Any) -> Any:
        state = self.execute_model_state
        self.patchbay_marks = () if state is None or state.logits is None else _marks_of(state)
        return inherited_sample(self, grammar_output)

    # vLLM uses these logits only to count the values that are not numbers, so the marks can take their place.
    def bookkeeping(self: Any, scheduled: Any, sampled: Any, logits: Any, *rest: Any) -> Any:
        marks_of_step = self.patchbay_marks
        return inherited_bookkeeping(
            self, scheduled, sampled, logits if isinstance(marks_of_step, tuple) else marks_of_step, *rest
        )

    GPUModelRunner.sample_tokens = sample_tokens
    GPUModelRunner._bookkeeping_sync = bookkeeping  # noqa: SLF001
    GPUModelRunner.patchbay_marks = ()


def _marks_of(state: Any) -> Tensor:
    marks = not_finite_rows(state.logits)
    drafts = state.spec_decode_metadata
    return marks if drafts is None else merge_by_request(marks, [count + 1 for count in drafts.num_draft_tokens])
