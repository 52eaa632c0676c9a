"""Finds the requests whose logits are not finite, in vLLM's worker, before anything is done to those logits.

A client's own sampling parameters can make infinities of good logits (a repetition penalty near zero), so what counts
is what the model gave.
"""

import os
from typing import Any

import torch
from torch import Tensor
from vllm.v1.worker.gpu_model_runner import GPUModelRunner


def marks(logits: Tensor) -> Tensor:
    """[rows, 1]: NaN where a row of `logits` [rows, vocabulary] is not finite, else 0.

    A row is finite where its largest value is: NaN and infinity are the largest of any row that has one, and minus
    infinity, which some models give to tokens that they never say, is so only where nothing else is left.
    """
    largest = logits.amax(dim=-1, keepdim=True)
    return torch.where(largest.isfinite(), 0.0, float("nan"))


def by_request(found: Tensor, rows: list[int]) -> Tensor:
    """[requests, 1]: the marks of requests that have so many `rows` each."""
    return torch.stack([part.amax(dim=0) for part in torch.split(found, rows)])


def mark_requests() -> None:
    """Has workers tell in `num_nans_in_logits` which requests' logits are not finite."""
    os.environ["VLLM_COMPUTE_NANS_IN_LOGITS"] = "1"
    if getattr(GPUModelRunner, "patchbay_marks", None) is not None:
        return
    sample, keep = GPUModelRunner.sample_tokens, GPUModelRunner._bookkeeping_sync  # noqa: SLF001

    def sample_tokens(self: Any, grammar_output: Any) -> Any:
        state = self.execute_model_state
        self.patchbay_marks = () if state is None or state.logits is None else _of(state)
        return sample(self, grammar_output)

    # vLLM uses these logits to count what in them is not a number, and for nothing else.
    def bookkeeping(self: Any, scheduled: Any, sampled: Any, logits: Any, *rest: Any) -> Any:
        own = self.patchbay_marks
        return keep(self, scheduled, sampled, logits if isinstance(own, tuple) else own, *rest)

    GPUModelRunner.sample_tokens = sample_tokens
    GPUModelRunner._bookkeeping_sync = bookkeeping  # noqa: SLF001
    GPUModelRunner.patchbay_marks = ()


def _of(state: Any) -> Tensor:
    found = marks(state.logits)
    drafts = state.spec_decode_metadata
    return found if drafts is None else by_request(found, [count + 1 for count in drafts.num_draft_tokens])
