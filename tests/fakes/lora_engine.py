"""An engine without a model: it keeps the rules of the real one, and fails the test that breaks them."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence

from patchbay.adapters.parity.file import ParityRow
from patchbay.adapters.parity.hypotheses import Rendered
from patchbay.core.asgi import Message, Receive, Scope, Send
from patchbay.core.errors import AdapterRejected
from patchbay.core.replica import BaseModelStatus, RequestStatus
from patchbay.server.engine import EngineLora, LoraCapacity, LoraTiers


class FakeScorer:
    """`server.engine.Scorer` by tables. `plain`, `adapted`: log-probabilities by the tokens; `scored`: what was asked,
    with the adapter's name; `asked`: set from then on; `gate`: while it is cleared, answers wait;
    `most`: after so many it answers no more."""

    max_length = 63

    def __init__(self) -> None:
        self.plain: dict[tuple[int, ...], tuple[float, ...]] = {}
        self.adapted: dict[tuple[int, ...], tuple[float, ...]] = {}
        self.scored: list[tuple[tuple[int, ...], str | None]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()
        self.most = 1000

    def vocabulary(self) -> str:
        return "0" * 64

    def render(self, row: ParityRow) -> Rendered | None:
        prompt = row.ids[: row.start]
        return Rendered(row.prompt, prompt, prompt)

    async def logprobs(self, ids: Sequence[int], lora: EngineLora | None) -> tuple[float, ...]:
        self.scored.append((tuple(ids), lora.name if lora else None))
        self.asked.set()
        if len(self.scored) > self.most:
            await asyncio.Event().wait()
        await self.gate.wait()
        return (self.plain if lora is None else self.adapted)[tuple(ids)]


class FakeLoraEngine:
    """`server.engine.Engine` in memory. Its endpoints answer with the model and the path that they were called with.

    `broken`: adapters that it refuses to load; `gate`: while it is cleared, loads and answers wait; `busy`: names that
    unfinished requests use.
    """

    tasks: tuple[str, ...] = ("generate",)

    def __init__(self, *, slots: int = 2, cpu: int = 3) -> None:
        self.base = BaseModelStatus(name="tiny", source="tiny", quantization=None, max_model_len=64)
        self.capacity = LoraCapacity(slots=slots, cpu=cpu)
        self.loaded: dict[int, EngineLora] = {}
        self.ids_seen: Counter[int] = Counter()
        self.bodies: list[dict[str, object]] = []
        self.names_loaded: Counter[str] = Counter()
        self.broken: set[str] = set()
        self.busy: Counter[str] = Counter()
        self.gate = asyncio.Event()
        self.gate.set()
        self.cancelled = 0
        self.dead: str | None = None
        self.closed = False
        self.scorer = FakeScorer()

    async def load(self, lora: EngineLora) -> None:
        assert lora.folder.is_dir(), "loaded from files that are not there: that ends the real engine"
        self.ids_seen[lora.lora_id] += 1
        assert self.ids_seen[lora.lora_id] == 1, "an id was used twice: the real engine ignores the second load"
        await self.gate.wait()
        if lora.name.partition("@")[0] in self.broken:
            raise AdapterRejected(f"The engine cannot load {lora.name}.", param="model")
        self.loaded[lora.lora_id] = lora
        self.names_loaded[lora.name] += 1
        assert len(self.loaded) <= self.capacity.cpu, "more loaded than fit: the real engine evicts one by itself"

    async def remove(self, lora: EngineLora) -> None:
        assert not self.busy[lora.name], "removed in use: the real engine would load it again within a step"
        await asyncio.sleep(0)
        del self.loaded[lora.lora_id]

    def in_use(self, name: str) -> bool:
        return self.busy[name] > 0

    async def tiers(self) -> LoraTiers:
        held = list(self.loaded)
        return LoraTiers(cpu=frozenset(held), slots=frozenset(held[-self.capacity.slots :]))

    def watch(self, report: Callable[[str | None], None]) -> None:
        self.report = report

    def requests(self) -> RequestStatus:
        return RequestStatus(running=self.busy.total(), waiting=0, kv_cache_use=0.0)

    def failure(self) -> str | None:
        return self.dead

    async def close(self) -> None:
        self.closed = True

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers any endpoint: streams three chunks where the body says so, the last when the gate is open."""
        message = await receive()
        body = json.loads(message["body"])
        self.bodies.append(body)
        model = body["model"]
        self.busy[model] += 1
        try:
            await _until_disconnect(self._answer(scope["path"], body, send), receive)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.busy[model] -= 1

    async def _answer(self, path: str, body: dict[str, object], send: Send) -> None:
        if body.get("fail"):
            error: dict[str, object] = {
                "error": {"message": "1 validation error", "type": "BadRequestError", "param": None, "code": 400}
            }
            await _reply(send, 400, error)
        elif body.get("stream"):
            await self._stream(send)
        else:
            await self.gate.wait()
            await _reply(send, 200, {"model": body["model"], "path": path})

    async def _stream(self, send: Send) -> None:
        await send(_start(200, b"text/event-stream"))
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        await self.gate.wait()
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n", "more_body": False})


async def _until_disconnect(answer: Coroutine[object, object, None], receive: Receive) -> None:
    """Runs `answer` until it is done or the client has gone, as Starlette's streams do."""
    answering = asyncio.create_task(answer)
    gone = asyncio.ensure_future(receive())
    await asyncio.wait((answering, gone), return_when=asyncio.FIRST_COMPLETED)
    for task in (answering, gone):
        task.cancel()
    await asyncio.gather(answering, gone, return_exceptions=True)


def _start(status: int, content_type: bytes) -> Message:
    return {"type": "http.response.start", "status": status, "headers": [(b"content-type", content_type)]}


async def _reply(send: Send, status: int, body: dict[str, object]) -> None:
    await send(_start(status, b"application/json"))
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
