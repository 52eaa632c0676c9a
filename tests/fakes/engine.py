"""A fake engine: a real HTTP server over loopback that speaks a replica's contract, or a plain OpenAI server's.

Its answers are made from the model's name, so that a test sees which model answered. What it does wrong, and when it
goes on with a stream, is set from outside while it runs.
"""

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web
from multidict import CIMultiDict

from patchbay.core.names import parse_reference
from patchbay.core.replica import (
    BaseModelStatus,
    Phase,
    ReplicaStatus,
    RequestStatus,
    RevisionState,
    RevisionStatus,
    SlotStatus,
)
from tests.fakes.engine_words import events, verdict
from tests.fakes.response_words import response_events, response_object
from tests.fakes.turns import offload

TOKEN = "replica-secret"

_NO_TEMPLATE = "As of transformers v4.44, you must provide a chat template if the tokenizer does not define one."
Fault = Literal[
    "none",
    "reset",
    "die",
    "die_in_event",
    "end_early",
    "hang",
    "answer_200",
    "answer_307",
    "answer_400",
    "answer_404",
    "answer_422",
    "error_500",
    "bad_gateway_502",
    "busy_503",
    "late_504",
    "refuse_401",
    "limited_429",
]

_PATHS = (
    *("chat/completions", "completions", "responses", "embeddings", "messages", "messages/count_tokens"),
    *("score", "rerank"),
)


@dataclass
class Seen:
    """One request that the engine got. `peer`: its connection's other end; `cancelled`: set when its client hung up
    before its answer was whole."""

    method: str
    path: str
    query: str
    headers: CIMultiDict[str]
    body: bytes
    peer: Any = None
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    finished: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def json(self) -> Any:
        """The body, parsed, on nobody's account: a replica is another process."""
        with offload():
            return json.loads(self.body)


@dataclass
class Script:
    """The script of the engine's answers. `gate`: a stream's chunk waits for one release each; `die_after`: chunks
    before it dies; `raw`: the exact writes of a streamed answer in place of generated ones;
    `words`: the exact pieces of its text; `padding`: bytes added to each chunk;
    `delays`: each request's `delay_s`, in turn; `unsafe`: what texts hold that the adapter `safety` calls so;
    `again`: the pieces of all answers after the first; `retry_after`: that header of answers by fault; `wait`: nothing
    is answered before it is set; `body`: of an answer by fault, of type `kind`; `status`: of responses."""

    chunks: int = 3
    delay_s: float = 0
    gate: asyncio.Semaphore | None = None
    fault: Fault = "none"
    die_after: int = 1
    raw: list[bytes] | None = None
    words: tuple[str, ...] | None = None
    padding: int = 0
    delays: tuple[float, ...] = ()
    unsafe: str = "poison"
    again: tuple[str, ...] = ()
    retry_after: str | None = None
    wait: asyncio.Event | None = None
    body: bytes = b'{"error": {"message": "fake trouble", "type": "server_error"}}'
    kind: str = "application/json"
    status: str = "completed"


def revision(
    adapter: str, number: int = 1, state: RevisionState = "resident", digest: str | None = None
) -> RevisionStatus:
    """A revision as a replica reports it. `digest`: by default made from its name."""
    digest = digest or (adapter.encode().hex() + f"{number:02d}" + "0" * 64)[:64]
    return RevisionStatus(
        adapter=adapter,
        number=number,
        digest=digest,
        engine_name=f"{adapter}@{number}-{digest[:12]}",
        state=state,
        tier="slot" if state == "resident" else "disk",
        references=0,
        reason="its files are broken" if state == "failed" else None,
    )


class FakeEngine:
    """One fake replica. `plain`: it knows no `/internal/*`, as a stock OpenAI server. Open it with `running_server`.

    `fingerprint`, `layout`, `has_chat_template`: of its base model; `slots`, `most`: revisions and requests that it
    says it can run at a time; `scripts`: how a revision (`sql@3`) answers where that is another way than `script`;
    `refused`: adapters that it does not take, and why; `held`: while it is cleared, nothing is taken; `puts`, `drops`:
    what it was asked for, as `sql@3`.
    """

    def __init__(
        self,
        name: str = "replica-0",
        *,
        base: str = "demo-base",
        revisions: tuple[RevisionStatus, ...] = (),
        token: str | None = TOKEN,
        plain: bool = False,
    ) -> None:
        self.name = name
        self.base = base
        self.revisions = revisions
        self.token = token
        self.plain = plain
        self.phase: Phase = "ready"
        self.health = 200
        self.running = 0
        self.slots = 8
        self.most: int | None = None
        self.script = Script()
        self.scripts: dict[str, Script] = {}
        self.seen: list[Seen] = []
        self.arrived = asyncio.Condition()
        self.port = 0
        self.source = "fake/base"
        self.has_chat_template = True
        self.fingerprint: str | None = None
        self.layout: dict[str, Any] | None = None
        self.refused: dict[str, str] = {}
        self.held: asyncio.Event | None = None
        self.puts: list[str] = []
        self.drops: list[str] = []
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where it listens, or listened."""
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def running_server(self) -> AsyncIterator["FakeEngine"]:
        """The engine, listening until the block ends."""
        await self.start()
        try:
            yield self
        finally:
            await self.stop()

    async def start(self) -> None:
        """Listens on a free port, or on the one that it had."""
        self._runner = web.AppRunner(self._app(), handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Ends it: from now on connections are refused, and those it had are closed."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def request(self, index: int = 0) -> Seen:
        """The request with that number among those for answers, once it has come."""
        async with asyncio.timeout(240), self.arrived:
            await self.arrived.wait_for(lambda: len(self.seen) > index)
        return self.seen[index]

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=2**30, middlewares=[self._guard])
        app.router.add_get("/health", self._health)
        app.router.add_get("/v1/models", self._models)
        if not self.plain:
            app.router.add_get("/internal/status", self._status)
            app.router.add_get("/internal/base", self._base_layout)
            app.router.add_put("/internal/adapters/{name}", self._put)
            app.router.add_delete("/internal/adapters/{reference}", self._delete)
        for path in ("/tokenize", "/detokenize"):
            app.router.add_post(path, self._answer)
        for path in _PATHS:
            app.router.add_post(f"/v1/{path}", self._answer)
        return app

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        shown = request.headers.get("authorization", "")
        if self.token and request.path != "/health" and not hmac.compare_digest(shown, f"Bearer {self.token}"):
            return web.json_response({"error": {"message": "who are you?"}}, status=401)
        return await handler(request)

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response(status=self.health)

    async def _models(self, _: web.Request) -> web.Response:
        ids = [self.base, *(revision.engine_name for revision in self.revisions)]
        common = {"object": "model", "created": 7, "owned_by": "fake", "max_model_len": 4096}
        data = [{"id": name, "root": name, **common} for name in ids]
        return web.json_response({"object": "list", "data": data})

    async def _status(self, _: web.Request) -> web.Response:
        status = ReplicaStatus(
            replica=self.name,
            phase=self.phase,
            base=BaseModelStatus(
                name=self.base, source=self.source, quantization=None, max_model_len=4096, fingerprint=self.fingerprint
            ),
            tasks=("generate",),
            revisions=self.revisions,
            slots=SlotStatus(
                slots=self.slots, slots_used=len(self.revisions), cpu=min(self.slots, 8), cpu_used=len(self.revisions)
            ),
            requests=RequestStatus(running=self.running, waiting=0, kv_cache_use=0.0, most=self.most),
        )
        return web.Response(text=status.model_dump_json(), content_type="application/json")

    async def _base_layout(self, _: web.Request) -> web.Response:
        return web.json_response({"fingerprint": self.fingerprint, "layout": self.layout})

    async def _put(self, request: web.Request) -> web.Response:
        """Takes a revision as a replica does: at once, unless its adapter is in `refused`."""
        body, adapter = await request.json(), request.match_info["name"]
        self.puts.append(f"{adapter}@{body['revision']}")
        if (reason := self.refused.get(adapter)) is not None:
            return web.json_response({"error": {"message": reason}}, status=422)
        if self.held is not None:
            await self.held.wait()
        known = next((one for one in self.revisions if one.adapter == adapter and one.number == body["revision"]), None)
        state: RevisionState = "resident" if body["load"] or (known and known.state == "resident") else "declared"
        taken = revision(adapter, body["revision"], state, body["digest"]).model_copy(update={"pin": body["pin"]})
        self.revisions = (*(one for one in self.revisions if one is not known), taken)
        return web.json_response(taken.model_dump(mode="json"))

    async def _delete(self, request: web.Request) -> web.Response:
        leaving = request.match_info["reference"]
        gone = [one for one in self.revisions if f"{one.adapter}@{one.number}" == leaving]
        self.revisions = tuple(one for one in self.revisions if one not in gone)
        self.drops.append(leaving)
        return web.json_response({"removed": [one.engine_name for one in gone]}, status=200 if gone else 404)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        peer = request.transport.get_extra_info("peername") if request.transport else None
        headers = CIMultiDict(request.headers)
        query = request.rel_url.raw_query_string
        seen = Seen(request.method, request.path, query, headers, await request.read(), peer)
        self.seen.append(seen)
        async with self.arrived:
            self.arrived.notify_all()
        try:
            if (wait := self._script(seen).wait) is not None:
                await wait.wait()
            if not self.has_chat_template and seen.path.endswith("/chat/completions"):
                return web.json_response({"error": {"message": _NO_TEMPLATE}}, status=400)
            return await self._play(request, seen)
        except (asyncio.CancelledError, ConnectionResetError):
            seen.cancelled.set()
            raise
        finally:
            seen.finished.set()

    async def _play(self, request: web.Request, seen: Seen) -> web.StreamResponse:
        script = self._script(seen)
        fault = script.fault
        if fault == "hang":
            await asyncio.Event().wait()
        if fault == "reset":
            _hang_up(request)
        if (status := fault[-3:]).isdigit():
            told = {"retry-after": self.script.retry_after} if self.script.retry_after else {}
            return web.Response(body=script.body, content_type=script.kind, status=int(status), headers=told)
        chosen = seen.headers.get("x-patchbay-revision")
        if chosen is not None and chosen not in {known.engine_name for known in self.revisions}:
            missing = {"error": {"message": f"{chosen} is not here", "type": "server_error"}}
            return web.json_response(missing, status=503, headers={"x-patchbay-missing": "1"})
        try:
            stream = seen.json.get("stream")
        except ValueError:
            return web.json_response({"error": {"message": "no JSON", "type": "invalid_request_error"}}, status=400)
        if stream:
            return await self._stream(request, seen)
        return await self._whole(request, seen)

    async def _whole(self, request: web.Request, seen: Seen) -> web.StreamResponse:
        script = self._script(seen)
        text = "".join(self._words(seen))
        chat = not seen.path.endswith("/v1/completions")
        said: dict[str, Any] = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        choice = {"index": 0, **said, "finish_reason": "stop"}
        if (seen.headers.get("x-patchbay-revision") or "").startswith("safety@"):
            choice["logprobs"] = verdict(script.unsafe in seen.json["messages"][0]["content"])
        document: dict[str, Any] = {}
        if seen.path.endswith("/v1/responses"):
            document = response_object(seen.json, self.seen.index(seen) + 1, self._words(seen), script.status)
        body = json.dumps(
            document
            or {
                "id": "chatcmpl-fake",
                "object": "chat.completion",
                "created": 7,
                "model": seen.json["model"],
                "choices": [choice],
                "usage": {"prompt_tokens": 1, "completion_tokens": script.chunks, "total_tokens": 4},
            }
        ).encode()
        response = web.StreamResponse(headers={"content-type": "application/json", "content-length": str(len(body))})
        if script.gate is not None:
            await script.gate.acquire()
        await response.prepare(request)
        if script.fault == "die":
            await response.write(body[: len(body) // 2])
            await asyncio.sleep(0.05)
            _hang_up(request)
        await response.write(body)
        return response

    async def _stream(self, request: web.Request, seen: Seen) -> web.StreamResponse:
        script = self._script(seen)
        delay_s = script.delays[len(self.seen) % len(script.delays)] if script.delays else script.delay_s
        response = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        for number, chunk in enumerate(script.raw if script.raw is not None else self._events(seen)):
            if script.gate is not None:
                await script.gate.acquire()
            if script.fault == "end_early" and number == script.die_after:
                return response
            if script.fault.startswith("die") and number == script.die_after:
                await self._die(request, response, chunk, in_event=script.fault == "die_in_event")
            await response.write(chunk)
            await asyncio.sleep(delay_s)
        return response

    async def _die(self, request: web.Request, response: web.StreamResponse, chunk: bytes, *, in_event: bool) -> None:
        if in_event:
            await response.write(chunk[: len(chunk) // 2])
        # What was written must have gone before the connection does.
        await asyncio.sleep(0.05)
        _hang_up(request)

    def _script(self, seen: Seen) -> Script:
        return self.scripts.get((seen.headers.get("x-patchbay-revision") or "").rpartition("-")[0], self.script)

    def _words(self, seen: Seen) -> list[str]:
        script = self._script(seen)
        if script.again and len(self.seen) > 1:
            return list(script.again)
        if script.words is not None:
            return list(script.words)
        name = seen.headers.get("x-patchbay-revision") or self._resolved(seen.json["model"])
        return [f"{name} {number} " + "x" * script.padding for number in range(script.chunks)]

    def _resolved(self, model: str) -> str:
        """The engine's own name for `model`, found as a replica finds it: the highest number if none is given."""
        reference = parse_reference(model)
        found = [
            known
            for known in self.revisions
            if reference and known.adapter == reference.name and reference.number in (None, known.number)
        ]
        return max(found, key=lambda known: known.number).engine_name if found else model

    def _events(self, seen: Seen) -> list[bytes]:
        if seen.path.endswith("/v1/responses"):
            return response_events(seen.json, self.seen.index(seen) + 1, self._words(seen), self._script(seen).status)
        wants_usage = bool((seen.json.get("stream_options") or {}).get("include_usage"))
        chat, ids = not seen.path.endswith("/v1/completions"), "x-patchbay-token-ids" in seen.headers
        return events(seen.json, self._words(seen), chat=chat, ids=ids, usage=wants_usage)


def _hang_up(request: web.Request) -> None:
    """Closes the connection without a word, as a killed process does."""
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionResetError
