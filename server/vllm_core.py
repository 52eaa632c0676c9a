"""Two processes of vLLM's, the engine's core and its worker, that end when the one that started them does.

vLLM has its core notice only that a socket is silent, which it may be for good. So the kernel is asked to kill it.
"""

from typing import Any

from vllm.v1.engine.core import EngineCoreProc

from patchbay.core.prctl import end_with_spawner


def run_engine_core(*args: Any, **kwargs: Any) -> None:
    """The engine core's process, from its first line on: vLLM's own, which ends with the replica's."""
    end_with_spawner()
    EngineCoreProc.run_engine_core(*args, **kwargs)


def end_engine_with_us() -> None:
    """Has every engine core that this process starts from now on end with it."""
    EngineCoreProc.run_engine_core = staticmethod(run_engine_core)
