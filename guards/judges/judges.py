"""Holds the judges of a router: each is started when it is first asked, and closed once it is not wanted any more."""

import asyncio
import importlib
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

from patchbay.core.errors import ConfigError
from patchbay.guards.judges.config import HttpGuard, JudgeGuard, LlmGuard, PluginGuard, PresidioGuard
from patchbay.guards.judges.http_judge import HttpJudge, PresidioJudge
from patchbay.guards.judges.judge import Judge
from patchbay.guards.judges.llm_judge import AskModel, LlmJudge


class _Held:
    """A judge, and how many ask it now."""

    def __init__(self, config: JudgeGuard, judge: Judge) -> None:
        self.config = config
        self.judge = judge
        self.users = 0
        self.started = False
        self.turn = asyncio.Lock()


class Judges:
    """`ask`: how a model on the engine is asked for a verdict, `again`: for another answer; `wanted`: those of the
    configuration, as it is now. Owns the judges: `close` ends them all."""

    def __init__(self, ask: AskModel, again: AskModel, wanted: Callable[[], Collection[JudgeGuard]]) -> None:
        self._ask = ask
        self.again = again
        self._wanted = wanted
        self._held: list[_Held] = []

    @asynccontextmanager
    async def using(self, config: JudgeGuard) -> AsyncIterator[Judge]:
        """The judge that `config` describes."""
        held = next((one for one in self._held if one.config == config), None)
        if held is None:
            held = _Held(config, make_judge(config, self._ask))
            self._held.append(held)
        held.users += 1
        try:
            async with held.turn:
                if not held.started:
                    await held.judge.start()
                    held.started = True
            yield held.judge
        finally:
            held.users -= 1
            await self._close_unwanted()

    async def close(self) -> None:
        """Closes all."""
        for held in list(self._held):
            await self._close(held)

    async def _close_unwanted(self) -> None:
        wanted = self._wanted()
        for held in list(self._held):
            if not held.users and held.config not in wanted:
                await self._close(held)

    async def _close(self, held: _Held) -> None:
        if held in self._held:
            self._held.remove(held)
            if held.started:
                await held.judge.close()


def make_judge(config: JudgeGuard, ask: AskModel) -> Judge:
    """The judge that `config` describes, not started. Raises ConfigError where there is none."""
    match config:
        case LlmGuard():
            return LlmJudge(config, ask)
        case HttpGuard():
            return HttpJudge(config)
        case PresidioGuard():
            return PresidioJudge(config)
        case PluginGuard():
            return factory_of(config)(**config.options)
    raise ConfigError(f"There is no judge for {type(config).__name__}.")


def factory_of(config: PluginGuard) -> Callable[..., Judge]:
    """What makes a plug-in's judge. Raises ConfigError where it is not there."""
    module, _, name = config.factory.partition(":")
    try:
        made: Callable[..., Judge] = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"The plug-in '{config.factory}' cannot be had: {error}.") from error
    return made
