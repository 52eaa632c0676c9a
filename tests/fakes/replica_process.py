"""A replica's real process over an engine without a model that fails as its arguments say.

python -m tests.fakes.replica_process CONFIG [--die-when ready] [--hang close] ...
"""

import argparse
import asyncio
import ctypes
import subprocess
import sys
import threading
import time
from pathlib import Path

import uvloop

from patchbay.core.errors import PatchbayError
from patchbay.core.exit_codes import fail
from patchbay.core.prctl import end_with_parent
from patchbay.core.settings import load_yaml, parse_settings
from patchbay.core.watchdog import Watchdog
from patchbay.server.config import ServerConfig
from patchbay.server.engine import LoraTiers
from patchbay.server.process import serve
from patchbay.server.processes import engine_processes, kill
from tests.fakes.lora_engine import FakeLoraEngine

_CORE = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
_LONG_S = 600


class FailingEngine(FakeLoraEngine):
    """An engine with a process of its own, dead once that is. `hang`: where it hangs from then on."""

    def __init__(self, hang: str) -> None:
        super().__init__()
        self._hang = hang
        # As the real one's, it is killed by the kernel where the replica can kill nothing any more.
        self.core = subprocess.Popen([sys.executable, "-c", _CORE], preexec_fn=end_with_parent())  # noqa: PLW1509
        sys.stdout.write(f"core {self.core.pid}\n")
        sys.stdout.flush()
        # A stream of its answers goes on for ever.
        self.gate.clear()

    def failure(self) -> str | None:
        return None if self.core.poll() is None else "its core has gone"

    async def tiers(self) -> LoraTiers:
        if self._hang == "tiers" and self.failure():
            await asyncio.Event().wait()
        return await super().tiers()

    async def close(self) -> None:
        if self._hang == "close":
            await asyncio.Event().wait()
        if self._hang == "thread":
            await asyncio.to_thread(time.sleep, _LONG_S)
        if self._hang == "loop":
            time.sleep(_LONG_S)  # noqa: ASYNC251 - that is what hangs
        if self._hang == "lock":
            ctypes.PyDLL(None).sleep(_LONG_S)


def _hang_at_exit() -> None:
    threading.Thread(target=time.sleep, args=(_LONG_S,)).start()


def _stand_still() -> None:
    sys.stdout.write("busy\n")
    sys.stdout.flush()
    time.sleep(_LONG_S)


def main() -> int:
    """Runs the replica and returns its exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("config", type=Path)
    parser.add_argument("--hang", default="", help="start, tiers, close, thread, loop, lock, exit, busy or stall")
    arguments = parser.parse_args()
    config = parse_settings(ServerConfig, load_yaml(arguments.config), source="test")

    async def start_engine(config: ServerConfig) -> FailingEngine:
        engine = FailingEngine(arguments.hang)
        if arguments.hang == "start":
            await asyncio.to_thread(time.sleep, _LONG_S)
        if arguments.hang == "busy":
            asyncio.get_running_loop().call_later(1, _stand_still)
        if arguments.hang == "stall":
            asyncio.get_running_loop().call_later(1, ctypes.PyDLL(None).sleep, _LONG_S)
        return engine

    deadman = Watchdog.start(lambda: kill(engine_processes()))
    if arguments.hang == "exit":
        _hang_at_exit()
    try:
        uvloop.run(serve(config, start_engine, deadman))
    except PatchbayError as error:
        return fail(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
