"""The engine core's process of vLLM, made to end when the process that started it does.

vLLM's core notices only that a socket is silent, which may go on for ever. So the kernel is asked to kill it. The
worker's process does the same, in `vllm_worker`.
"""

from typing import Any

from vllm.v1.engine.core import EngineCoreProc

from patchbay.core.prctl import end_with_spawner
from patchbay.server.processes import tell_stacks_on_signal


def run_engine_core(*args: Any, **kwargs: Any) -> None:
    """Runs vLLM's engine core, in a process that ends with the replica's."""
    end_with_spawner()
    tell_stacks_on_signal()
    EngineCoreProc.run_engine_core(*args, **kwargs)


def end_engine_with_us() -> None:
    """Makes every engine core that this process starts from now on end with it."""
    EngineCoreProc.run_engine_core = staticmethod(run_engine_core)
