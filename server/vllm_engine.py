"""The real engine: vLLM's `AsyncLLM` in this process. Only this module and its parts (`vllm_*`) import vLLM."""

import asyncio
import re
import time
from argparse import Namespace
from collections.abc import Callable, Collection, Coroutine, Iterable
from typing import Any, TypeVar

from fastapi import FastAPI
from psutil import Process
from vllm.config import VllmConfig
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.entrypoints.pooling.utils import enable_scoring_api
from vllm.lora.request import LoRARequest
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.metrics.loggers import StatLoggerBase
from vllm.v1.metrics.stats import IterationStats, MultiModalCacheStats, SchedulerStats

from patchbay.adapters.checks.config import FOLD_HINT
from patchbay.core.asgi import ASGIApp
from patchbay.core.errors import AdapterRejected, StartError, Unavailable
from patchbay.core.replica import BaseModelStatus, RequestStatus
from patchbay.server.alive import while_alive
from patchbay.server.config import ServerConfig
from patchbay.server.engine import NO_ADAPTERS, EngineLora, LoraCapacity, LoraTiers
from patchbay.server.fit import check_fit
from patchbay.server.late_errors import LateErrors
from patchbay.server.processes import engine_processes, kill, print_stacks
from patchbay.server.stall import StallWatch
from patchbay.server.tiers import KnownTiers
from patchbay.server.vllm_app import build_vllm_app, explain_error
from patchbay.server.vllm_arguments import lora_capacity, vllm_arguments
from patchbay.server.vllm_core import end_engine_with_us
from patchbay.server.vllm_llm import ContainedLLM, contain
from patchbay.server.vllm_scoring import VllmScorer

_IDLE_POLL_S = 0.02
_SHUTDOWN_S = 1.0
# vLLM wraps a worker's error into words of its own.
Answer = TypeVar("Answer")
_WRAPPED = re.compile(r"Worker failed with error '(?P<reason>.*)', please check the stack trace", re.DOTALL)


class LatestStats(StatLoggerBase):  # type: ignore[misc]
    """A logger of vLLM's that keeps the scheduler's counts of the last step.

    vLLM makes one for each engine, by `LatestStats.factory`. `steps` counts the engine's steps.
    """

    def __init__(self) -> None:
        self.requests = RequestStatus(running=0, waiting=0, kv_cache_use=0.0)
        self.steps = 0

    def factory(self, _config: VllmConfig, _engine_index: int = 0) -> "LatestStats":
        """Returns this very object, in the shape in which vLLM asks for a logger."""
        return self

    def record(
        self,
        scheduler_stats: SchedulerStats | None,
        iteration_stats: IterationStats | None,
        mm_cache_stats: MultiModalCacheStats | None = None,
        engine_idx: int = 0,
    ) -> None:
        """Keeps the counts of a step; vLLM calls it after each."""
        self.steps += 1
        if scheduler_stats is not None:
            self.requests = RequestStatus(
                running=scheduler_stats.num_running_reqs,
                waiting=scheduler_stats.num_waiting_reqs + scheduler_stats.num_skipped_waiting_reqs,
                kv_cache_use=scheduler_stats.kv_cache_usage,
            )

    def log_engine_initialized(self) -> None:
        """Does nothing; vLLM calls it once."""


class VllmEngine:
    """The implementation of `patchbay.server.engine.Engine` over vLLM. Make one with `start`."""

    def __init__(
        self,
        *,
        llm: ContainedLLM,
        app: FastAPI,
        stats: LatestStats,
        base: BaseModelStatus,
        tasks: tuple[str, ...],
        stall: StallWatch,
    ) -> None:
        self._llm = llm
        self._scorer = VllmScorer(llm, self._while_alive, app.state.args.chat_template)
        self._stall = stall
        self._stalled: str | None = None
        self._calls = self._ended_calls = 0
        self._app = app
        self._guarded_app = LateErrors(app, explain_error)
        self._stats = stats
        self._base = base
        self._tasks = tasks
        self._tiers = KnownTiers(self._ask_tiers, lambda: stats.steps)
        # Listed now, because a worker whose parent has died is no longer below this process.
        self._processes = engine_processes()

    @classmethod
    async def start(cls, config: ServerConfig) -> "VllmEngine":
        """Loads the base model and brings the engine up, in a thread, so that the event loop goes on meanwhile.

        Raises StartError where the base does not load, or where the quantization that was asked for, by the
        configuration or by the checkpoint, was not applied; ConfigError where vLLM does not know an argument.
        """
        capacity = await asyncio.to_thread(lora_capacity, config)
        arguments = vllm_arguments(config, capacity)
        stats, others = LatestStats(), frozenset(engine_processes())
        llm = await asyncio.to_thread(_start_llm, config, arguments, stats)
        try:
            engine = await while_alive(lambda: _failure(llm), cls._of(llm, config, arguments, stats))
            engine.spare(others)
            return engine
        except Unavailable as error:
            raise StartError(f"The base model {config.base.model} does not load: {error.message}") from error
        except BaseException:
            llm.shutdown(timeout=_SHUTDOWN_S)
            raise

    @classmethod
    async def _of(cls, llm: AsyncLLM, config: ServerConfig, arguments: Namespace, stats: LatestStats) -> "VllmEngine":
        tasks = _tasks(llm, await llm.get_supported_tasks())
        _check_task(config, tasks)
        quantization = await _applied_quantization(llm, config)
        app = await build_vllm_app(llm, arguments, tasks)
        base, stall = _describe(llm, config, quantization), StallWatch(config.engine.stall_timeout_s)
        return cls(llm=llm, app=app, stats=stats, base=base, tasks=tasks, stall=stall)

    def spare(self, others: Collection[Process]) -> None:
        """Excludes `others` from what `close` kills: whoever started the engine may have processes of its own."""
        self._processes = [process for process in self._processes if process not in others]

    @property
    def base(self) -> BaseModelStatus:
        return self._base

    @property
    def tasks(self) -> tuple[str, ...]:
        return self._tasks

    @property
    def capacity(self) -> LoraCapacity:
        lora = self._llm.vllm_config.lora_config
        if lora is None:
            return NO_ADAPTERS
        return LoraCapacity(slots=lora.max_loras, cpu=lora.max_cpu_loras)

    @property
    def app(self) -> ASGIApp:
        return self._guarded_app

    @property
    def scorer(self) -> VllmScorer:
        return self._scorer

    async def load(self, lora: EngineLora) -> None:
        request = LoRARequest(lora.name, lora.lora_id, str(lora.folder))
        with self._tiers.changing():
            await self._load(lora, request)
        self._app.state.openai_serving_models.lora_requests[lora.name] = request

    async def remove(self, lora: EngineLora) -> None:
        # A step that finds its adapter gone would load it again, from files that may be gone too: that ends the engine.
        while self.in_use(lora.name):  # noqa: ASYNC110 - vLLM has no event for it
            await asyncio.sleep(_IDLE_POLL_S)
        self._app.state.openai_serving_models.lora_requests.pop(lora.name, None)
        with self._tiers.changing():
            await self._while_alive(self._llm.remove_lora(lora.lora_id))

    def in_use(self, name: str) -> bool:
        return any(state.lora_name == name for state in self._llm.output_processor.request_states.values())

    async def tiers(self) -> LoraTiers:
        if self.capacity is NO_ADAPTERS:
            return LoraTiers(cpu=frozenset(), slots=frozenset())
        return await self._tiers.read()

    def watch(self, report: Callable[[str | None], None]) -> None:
        self._llm.report_not_finite = report

    def requests(self) -> RequestStatus:
        # A request that ends early leaves the counts with the next step, and an idle engine takes none. So the counts
        # are capped by the requests that the front end still has.
        latest, unfinished = self._stats.requests, self._llm.output_processor.get_num_unfinished_requests()
        running = min(latest.running, unfinished)
        waiting = min(latest.waiting, unfinished - running)
        return RequestStatus(
            running=running,
            waiting=waiting,
            kv_cache_use=latest.kv_cache_use if unfinished else 0.0,
            most=self._llm.vllm_config.scheduler_config.max_num_seqs,
        )

    def failure(self) -> str | None:
        return _failure(self._llm) or self._stall_reason()

    async def close(self) -> None:
        await asyncio.to_thread(self._llm.shutdown, _SHUTDOWN_S)
        kill(self._processes)

    def _stall_reason(self) -> str | None:
        """Returns the reason why the engine counts as dead although its process lives, from the first time on."""
        if self._stalled is None:
            pending = self._llm.output_processor.get_num_unfinished_requests() + self._calls
            progress = self._stats.steps + self._ended_calls
            self._stalled = self._stall.observe(progress=progress, pending=pending, now_s=time.monotonic())
            if self._stalled is not None:
                print_stacks(self._processes)
        return self._stalled

    async def _while_alive(self, call: Coroutine[Any, Any, Answer]) -> Answer:
        """Returns what the engine answers. Raises Unavailable where it dies first."""
        self._calls += 1
        try:
            return await while_alive(self.failure, call)
        finally:
            self._calls -= 1
            self._ended_calls += 1

    async def _ask_tiers(self) -> LoraTiers:
        workers = await self._while_alive(self._llm.collective_rpc("patchbay_lora_tiers"))
        cpu, slots = workers[0]
        return LoraTiers(cpu=frozenset(cpu), slots=frozenset(slots))

    async def _load(self, lora: EngineLora, request: LoRARequest) -> None:
        try:
            await self._while_alive(self._llm.add_lora(request))
            call = self._llm.collective_rpc("patchbay_lora_modules", args=(lora.lora_id,))
            check_fit(lora.name, await self._while_alive(call))
        except AdapterRejected:
            await self._while_alive(self._llm.remove_lora(lora.lora_id))
            raise
        except Unavailable:
            raise
        except Exception as error:  # vLLM raises no narrower one for what failed in its worker
            await self._unload_failed(lora, error)
            raise AdapterRejected(
                f"The engine cannot load {lora.name}: {_reason(error)}",
                param="model",
                hint=f"Check that the adapter was trained for this base model. If it was: {FOLD_HINT}",
            ) from error

    async def _unload_failed(self, lora: EngineLora, error: Exception) -> None:
        if self._llm.errored:
            raise Unavailable(f"The engine died loading {lora.name}: {_reason(error)}", retry_after_s=5) from error
        # vLLM may have registered the adapter although its weights did not fit into the slot.
        await self._while_alive(self._llm.remove_lora(lora.lora_id))


def _tasks(llm: AsyncLLM, supported: Iterable[str]) -> tuple[str, ...]:
    """Returns what the base model can do: vLLM's tasks, and `score` where it compares two texts by any of them."""
    tasks = tuple(supported)
    return (*tasks, *(["score"] if enable_scoring_api(tasks, llm.model_config) else []))


def _check_task(config: ServerConfig, tasks: Collection[str]) -> None:
    """Raises StartError where the base model cannot do what it is there for."""
    task, model = config.base.task, config.base.model
    if task not in tasks:
        raise StartError(
            f"The base model {model} cannot {task}: it can {', '.join(sorted(tasks)) or 'do nothing that is served'}.",
            hint="Correct base.task, or choose another base.model.",
        )


def _failure(llm: AsyncLLM) -> str | None:
    return str(llm.dead_error) if llm.errored else None


def _start_llm(config: ServerConfig, arguments: Namespace, stats: LatestStats) -> ContainedLLM:
    end_engine_with_us()
    try:
        vllm_config = AsyncEngineArgs.from_cli_args(arguments).create_engine_config()
        contain(vllm_config)
        llm: ContainedLLM = ContainedLLM.from_vllm_config(vllm_config, stat_loggers=[stats.factory])
        return llm
    except Exception as error:
        raise StartError(
            f"The base model {config.base.model} does not load: {_reason(error)}",
            hint="Run again with -v for the whole story.",
        ) from error


async def _applied_quantization(llm: ContainedLLM, config: ServerConfig) -> str | None:
    """Returns the quantization that was asked for, None for none. Raises StartError where no layer is quantized."""
    quantization = config.base.quantization or llm.model_config.quantization
    if quantization is None:
        return None
    workers = await llm.collective_rpc("patchbay_quantized_layers")
    quantized, layers = workers[0]
    if quantized == 0:
        raise StartError(
            f"The quantization '{quantization}' was asked for, but none of the {layers} linear layers of "
            f"{config.base.model} is quantized.",
            hint="Choose another base.quantization, or a checkpoint that is quantized already.",
        )
    return str(quantization)


def _describe(llm: ContainedLLM, config: ServerConfig, quantization: str | None) -> BaseModelStatus:
    return BaseModelStatus(
        name=config.base.served_name,
        source=config.base.model,
        quantization=quantization,
        max_model_len=llm.model_config.max_model_len,
    )


def _reason(error: BaseException) -> str:
    """Returns the root cause of a vLLM error in one line: vLLM wraps a worker's error into its own words, twice."""
    text = str(error)
    if match := _WRAPPED.search(text):
        text = match["reason"]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0].rstrip(".") + "." if lines else type(error).__name__ + "."
