"""The corrections to vLLM that keep one request's harm from others, on vLLM's own classes, without an engine."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from vllm.lora.model_manager import LoRAModelManager
from vllm.v1.kv_cache_interface import KVCacheConfig
from vllm.v1.sample.sampler import Sampler
from vllm.v1.worker.gpu_model_runner import GPUModelRunner

from patchbay.server.vllm_fixes import clear_freed_slots, prompt_rows_by_request, zero_new_blocks

WIDTH, VOCABULARY = 4, 11


class Runner:
    """As much of a worker as log-probabilities of prompts take. Its head has a matrix for each adapter, 0 is the base,
    and refuses a number of rows that is not the one that it was told of."""

    def __init__(self, requests: dict[str, Any]) -> None:
        self.requests = requests
        self.num_prompt_logprobs = dict.fromkeys(requests, 0)
        self.lora_config = object()
        self.device = torch.device("cpu")
        self.input_batch = SimpleNamespace(req_id_to_index={name: at for at, name in enumerate(requests)})
        self.query_start_loc = SimpleNamespace(np=np.zeros(len(requests) + 1, dtype=int))
        self.model = SimpleNamespace(compute_logits=self.logits)
        self.model_config = SimpleNamespace(logprobs_mode="raw_logprobs")
        self.sampler = Sampler()
        self.heads = torch.randn(3, VOCABULARY, WIDTH, generator=torch.Generator().manual_seed(1))
        # As vLLM leaves it for a step: one row for each request that is sampled from.
        self.active: tuple[int, ...] = tuple(_adapter_of(request) for request in requests.values())

    def _set_active_loras(self, heads: tuple[int, ...], _tokens: tuple[int, ...], _loras: set[Any]) -> None:
        self.active = heads

    def _sync_device(self) -> None:
        """Nothing is under way on a CPU."""

    def logits(self, rows: Tensor) -> Tensor:
        assert len(rows) == len(self.active), "rows and their adapters are not as many"
        return torch.stack([self.heads[adapter] @ row for row, adapter in zip(rows, self.active, strict=True)])

    def step(self, hidden: Tensor, scheduled: dict[str, int]) -> dict[str, Any]:
        """One step of vLLM's, in which so many tokens of each request are computed."""
        self.query_start_loc.np = np.cumsum([0, *(scheduled.get(name, 0) for name in self.requests)])
        found: dict[str, Any] = GPUModelRunner._get_prompt_logprobs_dict(self, hidden, scheduled)  # noqa: SLF001
        for name, count in scheduled.items():
            self.requests[name].num_computed_tokens += count
        return found


def _adapter_of(request: Any) -> int:
    return request.lora_request.lora_int_id if request.lora_request else 0


def asked(ids: list[int], adapter: int) -> Any:
    lora = _Lora(adapter) if adapter else None
    return SimpleNamespace(
        prompt_token_ids=ids, lora_request=lora, num_computed_tokens=0, in_progress_prompt_logprobs_cpu=None
    )


@dataclass(frozen=True)
class _Lora:
    """An adapter as a request has it."""

    lora_int_id: int


@pytest.mark.parametrize("chunk", [2, 3, 100], ids=lambda chunk: f"{chunk} at a time")
def test_log_probabilities_of_prompts_are_of_their_own_adapter_in_whatever_pieces_they_are_computed(chunk: int) -> None:
    prompt_rows_by_request()
    generator = torch.Generator().manual_seed(2)
    requests = {
        name: asked(torch.randint(VOCABULARY, (length,), generator=generator).tolist(), adapter)
        for name, length, adapter in (("one", 7, 1), ("base", 5, 0), ("two", 1, 2), ("other", 9, 2))
    }
    states = {
        name: torch.randn(len(request.prompt_token_ids), WIDTH, generator=generator)
        for name, request in requests.items()
    }
    runner = Runner(requests)
    found: dict[str, Any] = {}
    while left := {
        name: min(chunk, len(request.prompt_token_ids) - request.num_computed_tokens)
        for name, request in requests.items()
        if request.num_computed_tokens < len(request.prompt_token_ids)
    }:
        starts = {name: requests[name].num_computed_tokens for name in left}
        rows = torch.cat([states[name][starts[name] : starts[name] + count] for name, count in left.items()])
        found |= runner.step(rows, left)
    assert found.keys() == requests.keys()
    assert runner.num_prompt_logprobs == {}
    for name, request in requests.items():
        ids = request.prompt_token_ids
        right = (states[name] @ runner.heads[_adapter_of(request)].T).log_softmax(-1)
        own = [float(right[at, token]) for at, token in enumerate(ids[1:])]
        assert found[name].logprobs[:, 0].tolist() == pytest.approx(own, abs=1e-5)


def test_a_slot_that_an_adapter_leaves_is_cleared_in_every_module_and_no_other_slot_is() -> None:
    clear_freed_slots()
    cleared: list[tuple[str, int]] = []
    modules = {
        name: SimpleNamespace(reset_lora=lambda slot, name=name: cleared.append((name, slot))) for name in ("q", "head")
    }
    manager: Any = SimpleNamespace(lora_index_to_id=[4, 7, None], modules=modules)
    LoRAModelManager._deactivate_adapter(manager, 7)  # noqa: SLF001
    assert manager.lora_index_to_id == [4, None, None]
    assert sorted(cleared) == [("head", 1), ("q", 1)]


def test_blocks_of_the_cache_are_zeroed_when_a_request_gets_them() -> None:
    zero_new_blocks()
    assert KVCacheConfig(num_blocks=1, kv_cache_tensors=[], kv_cache_groups=[]).needs_kv_cache_zeroing
