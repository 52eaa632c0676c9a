"""The extension of vLLM's worker, which vLLM mixes into its worker class, and the corrections in worker processes.

Source: vLLM's `worker_extension_cls` (vllm/v1/worker/worker_base.py); names are prefixed so that none collides.
"""

from typing import Any

from vllm.platforms import current_platform

from patchbay.core.prctl import end_with_spawner
from patchbay.server.processes import tell_stacks_on_signal
from patchbay.server.vllm_fixes import (
    clear_freed_slots,
    compute_experts_without_adapters,
    prompt_rows_by_request,
    replace_lora_ops,
    zero_new_blocks,
)
from patchbay.server.vllm_int4 import compute_int4_without_avx512
from patchbay.server.vllm_marks import mark_requests

# A worker imports this module as its first act, before it has a model.
end_with_spawner()
tell_stacks_on_signal()
replace_lora_ops()
if current_platform.is_cpu():
    compute_experts_without_adapters()
clear_freed_slots()
zero_new_blocks()
prompt_rows_by_request()
mark_requests()
compute_int4_without_avx512()


class WorkerExtension:
    """The replica's calls into vLLM's worker processes.

    vLLM mixes the class into its worker; every method runs in each worker process through `collective_rpc`.
    """

    model_runner: Any

    def patchbay_lora_tiers(self) -> tuple[list[int], list[int]]:
        """Returns the LoRA ids in host memory, and of those, the ones in a slot."""
        loras = self._patchbay_loras()
        return list(loras.list_adapters()), [lora_id for lora_id in loras.lora_index_to_id if lora_id is not None]

    def patchbay_lora_modules(self, lora_id: int) -> tuple[list[str], list[str]]:
        """Returns the modules of LoRA `lora_id` that the base has, and those it has not, which vLLM would ignore."""
        loras = self._patchbay_loras()
        names = set(loras.get_adapter(lora_id).loras)
        return sorted(names & set(loras.modules)), sorted(names - set(loras.modules))

    def patchbay_quantized_layers(self) -> tuple[int, int]:
        """Returns the number of quantized linear layers of the base, and the number of all its linear layers."""
        from vllm.model_executor.layers.linear import LinearBase, UnquantizedLinearMethod

        layers = [module for module in self.model_runner.model.modules() if isinstance(module, LinearBase)]
        quantized = [layer for layer in layers if not isinstance(layer.quant_method, UnquantizedLinearMethod)]
        return len(quantized), len(layers)

    def _patchbay_loras(self) -> Any:
        return self.model_runner.lora_manager._adapter_manager  # noqa: SLF001
