"""The judges of a router: each is started when it is first asked, and closed once no configuration names it."""

import asyncio
import importlib
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

from patchbay.core.errors import ConfigError
from patchbay.guards.judges.config import GroundingGuard, HttpGuard, JudgeGuard, LlmGuard, PluginGuard, PresidioGuard
from patchbay.guards.judges.http_judge import HttpJudge, PresidioJudge
from patchbay.guards.judges.judge import Judge
from patchbay.guards.judges.llm_judge import AskModel, EntailmentJudge, LlmJudge


class _Entry:
    """A judge, started or not, and the number of its users at this moment. `starting`: held while it is started."""

    def __init__(self, config: JudgeGuard, judge: Judge) -> None:
        self.config = config
        self.judge = judge
        self.users = 0
        self.started = False
        self.starting = asyncio.Lock()


class Judges:
    """Owns the judges of a router: `close` ends them all.

    `ask`: asks a model on the engine for a verdict; `again`: asks one for a second answer; `wanted`: returns the judges
    of the current configuration.
    """

    def __init__(self, *, ask: AskModel, again: AskModel, wanted: Callable[[], Collection[JudgeGuard]]) -> None:
        self.ask = ask
        self.again = again
        self._wanted = wanted
        self._entries: list[_Entry] = []

    @asynccontextmanager
    async def using(self, config: JudgeGuard) -> AsyncIterator[Judge]:
        """Lends the judge that `config` describes, started. Raises what its start raises."""
        entry = next((entry for entry in self._entries if entry.config == config), None)
        if entry is None:
            entry = _Entry(config, make_judge(config, self.ask))
            self._entries.append(entry)
        entry.users += 1
        try:
            # Another request may be starting the same judge: the second one waits for it.
            async with entry.starting:
                if not entry.started:
                    await entry.judge.start()
                    entry.started = True
            yield entry.judge
        finally:
            entry.users -= 1
            await self._close_unwanted()

    async def close(self) -> None:
        """Closes all judges."""
        for entry in list(self._entries):
            await self._close(entry)

    async def _close_unwanted(self) -> None:
        wanted = self._wanted()
        for entry in list(self._entries):
            if not entry.users and entry.config not in wanted:
                await self._close(entry)

    async def _close(self, entry: _Entry) -> None:
        if entry in self._entries:
            self._entries.remove(entry)
            if entry.started:
                await entry.judge.close()


def make_judge(config: JudgeGuard, ask: AskModel) -> Judge:
    """Makes the judge that `config` describes, not started. Raises ConfigError where there is none.

    `ask`: asks a model on the engine.
    """
    match config:
        case LlmGuard():
            return LlmJudge(config, ask)
        case GroundingGuard():
            return EntailmentJudge(config, ask)
        case HttpGuard():
            return HttpJudge(config)
        case PresidioGuard():
            return PresidioJudge(config)
        case PluginGuard():
            return factory_of(config)(**config.options)
    raise ConfigError(f"There is no judge for {type(config).__name__}.")


def factory_of(config: PluginGuard) -> Callable[..., Judge]:
    """Imports the factory of a plug-in's judge. Raises ConfigError where that fails."""
    module, _, name = config.factory.partition(":")
    try:
        factory: Callable[..., Judge] = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"The plug-in '{config.factory}' cannot be had: {error}.") from error
    return factory
