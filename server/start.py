"""The start of vLLM's engine off the event loop, since its imports alone take several seconds."""

import asyncio
import importlib
from typing import TYPE_CHECKING

from patchbay.core.distribution import install_command
from patchbay.core.errors import StartError
from patchbay.server.config import ServerConfig

if TYPE_CHECKING:
    from patchbay.server.engine import Engine


async def start_vllm(config: ServerConfig, *, verbose: bool) -> "Engine":
    """Starts vLLM's engine with the base model loaded.

    Raises StartError where vLLM is not installed or the engine does not come up.
    """
    from patchbay.server.environment import set_environment

    set_environment(config, verbose=verbose)
    try:
        module = await asyncio.to_thread(importlib.import_module, "patchbay.server.vllm_engine")
    except ModuleNotFoundError as error:
        raise StartError(
            f"The engine cannot be imported: there is no module '{error.name}'.",
            hint=f"Install it: {install_command('cpu')}.",
        ) from error
    engine: Engine = await module.VllmEngine.start(config)
    return engine
