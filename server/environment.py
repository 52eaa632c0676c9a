"""What vLLM reads from the environment, set from a replica's configuration."""

import os

from server.config import ServerConfig


def set_environment(config: ServerConfig, *, verbose: bool) -> None:
    """Sets what vLLM reads from the environment. Call before vLLM is imported for the first time.

    Runtime loading by name stays off: its resolver follows any path that a request's `model` spells.
    """
    os.environ["VLLM_NO_USAGE_STATS"] = "1"
    os.environ["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] = "0"
    os.environ["VLLM_LOGGING_LEVEL"] = "INFO" if verbose else "ERROR"
    if config.engine.cpu_cores:
        os.environ["VLLM_CPU_OMP_THREADS_BIND"] = config.engine.cpu_cores
