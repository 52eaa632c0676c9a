"""Corrections to vLLM 0.32.0, each with its upstream issue. Remove one when a release with the fix is adopted.

Each must be made before the model is loaded; a second call changes nothing.
"""

import json
from typing import Any

import torch
from vllm.lora.model_manager import LoRAModelManager
from vllm.lora.punica_wrapper import punica_cpu
from vllm.model_executor.layers.fused_moe.config import FusedMoEConfig
from vllm.v1.kv_cache_interface import KVCacheConfig
from vllm.v1.structured_output.backend_types import StructuredOutputOptions
from vllm.v1.structured_output.backend_xgrammar import XgrammarBackend
from vllm.v1.worker.gpu_model_runner import GPUModelRunner

from patchbay.server.lora_ops import RowGroups, expand, shrink


class GroupedPunica(punica_cpu.PunicaWrapperCPU):  # type: ignore[misc]
    """vLLM's interface to the operations for adapters on a CPU, over `patchbay.server.lora_ops`.

    With vLLM's own operations, the last slot's adapter answers requests for the base model.

    Source: https://github.com/vllm-project/vllm/pull/48421 (the Triton kernels of the GPU skip such rows).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.token_groups = RowGroups(0)
        self.sampler_groups = RowGroups(0)

    def update_metadata(self, *args: Any, **kwargs: Any) -> None:
        """Groups the rows of a step by their slots; vLLM calls it before each step."""
        super().update_metadata(*args, **kwargs)
        self.token_groups = RowGroups.of(self.token_lora_indices)
        self.sampler_groups = RowGroups.of(self.sampler_indices)

    def add_lora_linear(
        self, y: Any, x: Any, lora_a_stacked: Any, lora_b_stacked: Any, scale: float, output_slices: Any, **kwargs: Any
    ) -> None:
        """Adds the adapters' part of linear layers, or nothing where no row has an adapter."""
        if not self.token_groups.empty:
            super().add_lora_linear(y, x, lora_a_stacked, lora_b_stacked, scale, output_slices, **kwargs)

    def add_lora_embedding(self, y: Any, x: Any, lora_b_stacked: Any, add_inputs: bool = True, **_kwargs: Any) -> None:
        """Adds the adapters' part of an embedding."""
        expand(x, lora_b_stacked, y, self.token_groups, add=add_inputs)

    def add_lora_logits(
        self, y: Any, x: Any, lora_a_stacked: Any, lora_b_stacked: Any, scale: float, **_kwargs: Any
    ) -> None:
        """Adds the adapters' part of the head, in the rows that are sampled from."""
        if self.sampler_groups.empty:
            return
        low = torch.zeros(len(x), lora_b_stacked.size(-1), dtype=torch.float32, device=x.device)
        shrink(x, lora_a_stacked, low, self.sampler_groups, scale)
        expand(low, lora_b_stacked, y, self.sampler_groups)

    def apply_lora_full_linear(
        self, y: Any, x: Any, weight_stacked: Any, bias_stacked: Any, module_enabled: Any
    ) -> None:
        """Replaces the base model's head by the whole heads that some adapters have."""
        own = self.sampler_groups.product(x, weight_stacked, torch.float32)
        y.copy_(self._select_full_linear_output(y, own, bias_stacked, module_enabled))

    def _apply_shrink(self, y: Any, x: Any, w_t_all: Any, scale: float) -> None:
        shrink(x, w_t_all, y.view(-1, y.shape[-1]), self.token_groups, scale)

    def _apply_expand(
        self, y: Any, x: Any, w_t_all: Any, y_offset: int, y_slice_size: int, add_inputs: bool = True
    ) -> None:
        expand(x, w_t_all, y[:, y_offset : y_offset + y_slice_size], self.token_groups, add=add_inputs)


def replace_lora_ops() -> None:
    """Puts `GroupedPunica` in the place of vLLM's own operations on a CPU."""
    punica_cpu.PunicaWrapperCPU = GroupedPunica


def compute_experts_without_adapters() -> None:
    """Makes vLLM choose a CPU's kernels for experts, although adapters are on.

    By itself it takes Triton's then, which a CPU has not, so that the first request ends the engine. No adapter has
    experts here: see `lora_target_modules` in `vllm_arguments`.
    """
    if getattr(FusedMoEConfig, "patchbay_plain", False):
        return
    inherited = FusedMoEConfig.__init__

    def make(self: Any, *args: Any, **settings: Any) -> None:
        inherited(self, *args, **settings | {"is_lora_enabled": False})

    FusedMoEConfig.__init__ = make
    FusedMoEConfig.patchbay_plain = True


def clear_freed_slots() -> None:
    """Makes vLLM zero an adapter's weights when it leaves its slot; by itself vLLM only forgets whose they were."""
    if getattr(LoRAModelManager, "patchbay_clears", False):
        return
    inherited = LoRAModelManager._deactivate_adapter  # noqa: SLF001

    def deactivate(self: Any, lora_id: int) -> None:
        slots = [slot for slot, occupant in enumerate(self.lora_index_to_id) if occupant == lora_id]
        inherited(self, lora_id)
        for module in self.modules.values():
            for slot in slots:
                module.reset_lora(slot)

    LoRAModelManager._deactivate_adapter = deactivate  # noqa: SLF001
    LoRAModelManager.patchbay_clears = True


def zero_new_blocks() -> None:
    """Makes vLLM zero every block of the KV cache when a request gets it.

    Call it in the scheduler's process and in the workers'. Attention on a CPU reads a block's unused places too, and
    weighs them with zero: a value that is not finite, left by one request, makes the next one's answer NaN.
    """
    KVCacheConfig.needs_kv_cache_zeroing = property(lambda _self: True)


def bound_whitespace_of_tools() -> None:
    """Makes vLLM heed `disable_any_whitespace` in forms with JSON within other text: calls of tools, and answers by
    schema beside tools. By itself it does so for plain JSON alone, and a small model then fills its answer with spaces.

    Call it in the engine core's process, which compiles the forms.
    """
    if getattr(XgrammarBackend, "patchbay_bounds", False):
        return
    inherited = XgrammarBackend.compile_grammar

    def compile_bounded(self: Any, request_type: Any, grammar_spec: str, *rest: Any, **options: Any) -> Any:
        if request_type == StructuredOutputOptions.STRUCTURAL_TAG and self.disable_any_whitespace:
            grammar_spec = json.dumps(_bounded(json.loads(grammar_spec)))
        return inherited(self, request_type, grammar_spec, *rest, **options)

    XgrammarBackend.compile_grammar = compile_bounded
    XgrammarBackend.patchbay_bounds = True


def _bounded(part: Any) -> Any:
    """The part of a structural tag, with one white space at most between the words of each JSON in it: xgrammar takes
    no less."""
    if isinstance(part, list):
        return [_bounded(one) for one in part]
    if not isinstance(part, dict):
        return part
    if part.get("type") == "json_schema" and "json_schema" in part:
        return part | {"max_whitespace_cnt": 1}
    return {name: _bounded(one) for name, one in part.items()}


def prompt_rows_by_request() -> None:
    """Makes vLLM compute log-probabilities of prompts with the adapter of their own request, for all of its rows.

    vLLM gives the head one slot per *sampled* request together with all rows of a prompt. On a CPU that is an error
    that ends the engine; on a GPU the head reads whatever lies behind the slots.

    Source: https://github.com/vllm-project/vllm/issues/29955
    """
    if getattr(GPUModelRunner, "patchbay_prompt_rows", False):
        return
    inherited = GPUModelRunner._get_prompt_logprobs_dict  # noqa: SLF001

    def by_request(self: Any, hidden_states: Any, num_scheduled_tokens: dict[str, int]) -> dict[str, Any]:
        waiting = self.num_prompt_logprobs
        if self.lora_config is None or not waiting:
            logprobs: dict[str, Any] = inherited(self, hidden_states, num_scheduled_tokens)
            return logprobs
        results: dict[str, Any] = {}
        for request_id in [request_id for request_id in waiting if request_id in num_scheduled_tokens]:
            _map_prompt_rows(self, request_id, num_scheduled_tokens[request_id])
            self.num_prompt_logprobs = {request_id: waiting[request_id]}
            try:
                results |= inherited(self, hidden_states, num_scheduled_tokens)
                # vLLM removes a request whose prompt is done, here from the dictionary with this request alone.
                if request_id not in self.num_prompt_logprobs:
                    del waiting[request_id]
            finally:
                self.num_prompt_logprobs = waiting
        return results

    GPUModelRunner._get_prompt_logprobs_dict = by_request  # noqa: SLF001
    GPUModelRunner.patchbay_prompt_rows = True


def _map_prompt_rows(runner: Any, request_id: str, scheduled: int) -> None:
    """Sets the adapter of the rows to come, all of which are of this request's prompt.

    `scheduled`: the number of the request's tokens in this step.
    """
    request = runner.requests[request_id]
    if request.prompt_token_ids is None:
        return
    rows = min(scheduled, len(request.prompt_token_ids) - 1 - request.num_computed_tokens)
    lora = request.lora_request
    mapping = (lora.lora_int_id if lora else 0,) * rows
    if rows > 0:
        runner._set_active_loras(mapping, mapping, {lora} if lora else set())  # noqa: SLF001
