"""The way into the engine's own endpoints: reads the body once, finds the revision, holds it while the request runs.

The reference is held for exactly as long as the engine's application runs for this request, whether it ends, streams,
fails or is cancelled.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

import msgspec

from patchbay.core.asgi import Message, Receive, Scope, Send, header, receive_body
from patchbay.core.error_events import form_of
from patchbay.core.errors import (
    DeadlineExceeded,
    InvalidRequest,
    ModelNotFound,
    RequestError,
    RevisionMissing,
    anthropic_body,
    openai_body,
)
from patchbay.server import token_ids
from patchbay.server.engine import EngineLora
from patchbay.server.engine_errors import EngineErrors
from patchbay.server.forms import check_forms
from patchbay.server.replica import ServingReplica
from patchbay.server.request_checks import check_request
from patchbay.server.slots import SlotEntry

# Each with the task, in vLLM's words, that the base must be able to do; None where any base will do.
ENDPOINTS: Mapping[str, str | None] = {
    "/v1/chat/completions": "generate",
    "/v1/completions": "generate",
    "/v1/responses": "generate",
    "/v1/embeddings": "embed",
    "/v1/messages": "generate",
    "/v1/messages/count_tokens": "generate",
    "/tokenize": None,
    "/detokenize": None,
}
# Which revision a name means is the router's to say; it says it in this header.
_REVISION = b"x-patchbay-revision"
# How long the router gives this request: whole milliseconds.
_DEADLINE = b"x-patchbay-timeout-ms"
# How soon it is to be run beside others: a whole number, the smaller the sooner.
_PRIORITY = b"x-patchbay-priority"
# Of what the router says in a header: of milliseconds more than a year.
_MOST_DIGITS = 12
_LATE = "The answer was not there within the time that it was given."


class EngineGate:
    """An ASGI application over the paths in `ENDPOINTS`, all of them POST with a JSON object that names a `model`."""

    def __init__(self, replica: ServingReplica) -> None:
        self._replica = replica

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        metrics, endpoint = self._replica.metrics, scope["path"]
        form = form_of(endpoint)
        watch = EngineErrors(send, form)
        metrics.in_flight.inc()
        try:
            with self._replica.counted():
                await self._answer(scope, receive, watch)
        except RequestError as error:
            await send_error(send, error, anthropic=form == "messages")
            watch.status = error.status
        finally:
            metrics.in_flight.dec()
            metrics.requests.labels(endpoint=endpoint, outcome=watch.outcome).inc()

    async def _answer(self, scope: Scope, receive: Receive, send: EngineErrors) -> None:
        end_s = _end_s(scope)
        body = await receive_body(receive, self._replica.config.max_body_bytes)
        if body is None:
            return
        given = _decode(body)
        check_request(given, body)
        fields = without_nulls(given)
        check_forms(fields)
        entry = self._entry(fields, header(scope["headers"], _REVISION))
        self._check_task(scope["path"])
        priority = _priority(scope)
        if priority is not None:
            fields["priority"] = priority
        ids = token_ids.wanted(scope["path"], fields, header(scope["headers"], token_ids.HEADER))
        if ids:
            fields["return_token_ids"] = True
        inner: Send = token_ids.TokenIds(send) if ids else send
        if entry is None:
            # Untouched, the body goes on byte for byte.
            changed = ids or priority is not None or len(fields) < len(given)
            body = _encode(fields) if changed else body
            await self._run(scope, _Replay(body, receive, end_s), inner, send)
            return
        async with AsyncExitStack() as held:
            lora = await self._held(held, entry, end_s)
            body = _encode({**fields, "model": lora.name})
            send.headers = _provenance(entry)
            await self._run(scope, _Replay(body, receive, end_s), inner, send)

    async def _held(self, held: AsyncExitStack, entry: SlotEntry, end_s: float | None) -> EngineLora:
        try:
            async with asyncio.timeout_at(end_s):
                return await held.enter_async_context(self._replica.slots.use(entry))
        except TimeoutError as error:
            raise DeadlineExceeded(_LATE) from error

    async def _run(self, scope: Scope, replay: "_Replay", send: Send, watch: EngineErrors) -> None:
        """Has the engine's application answer. Raises DeadlineExceeded where nothing was answered in time; what has
        begun ends cut short then: whoever gave the time has told its client already."""

        async def in_time(message: Message) -> None:
            if watch.status or not replay.expired:
                await send(message)

        await self._replica.engine.app(_resized(scope, replay.length), replay, in_time)
        if replay.expired and not watch.status:
            raise DeadlineExceeded(_LATE)

    def _check_task(self, endpoint: str) -> None:
        task, engine = ENDPOINTS[endpoint], self._replica.engine
        if task is not None and task not in engine.tasks:
            raise InvalidRequest(f"The base model '{engine.base.name}' cannot {task}.", param="model")

    def _entry(self, fields: Mapping[str, Any], chosen: bytes | None) -> SlotEntry | None:
        """The revision that the router has `chosen`, else the one that the body's `model` means; None for the base."""
        if chosen is not None:
            return self._chosen(chosen.decode("latin-1"))
        model = fields.get("model")
        if not isinstance(model, str) or not model:
            raise InvalidRequest("The request must name a 'model', as a string.", param="model")
        if model == self._replica.engine.base.name:
            return None
        if len(model) > 256:
            raise ModelNotFound(f"{model[:64]}…")
        return self._replica.slots.find(model)

    def _chosen(self, engine_name: str) -> SlotEntry:
        """The revision with exactly this name. Raises RevisionMissing where it is not here (any more): the router knows
        that it exists, and can ask another replica."""
        try:
            return self._replica.slots.find(engine_name)
        except ModelNotFound as error:
            raise RevisionMissing(f"{engine_name[:128]} is not on {self._replica.config.name} now.") from error


def _end_s(scope: Scope) -> float | None:
    given = header(scope["headers"], _DEADLINE) or b""
    if not given.isdigit() or len(given) > _MOST_DIGITS:
        return None
    return asyncio.get_running_loop().time() + int(given) / 1000


def _priority(scope: Scope) -> int | None:
    """How soon the request is to be run, where that is said. Raises InvalidRequest."""
    given = header(scope["headers"], _PRIORITY)
    if given is None:
        return None
    if not given.removeprefix(b"-").isdigit() or len(given) > _MOST_DIGITS:
        raise InvalidRequest(f"'{_PRIORITY.decode()}' must be a whole number of at most {_MOST_DIGITS} digits.")
    return int(given)


class _Replay:
    """A `receive` that gives the body that was read already, then whatever else comes: a disconnect.

    Past `end_s` (the event loop's clock) it tells of one, too: vLLM ends its work on a request when its client leaves,
    but not when the task that waits for it is cancelled. `expired`: whether it has.
    """

    def __init__(self, body: bytes, receive: Receive, end_s: float | None) -> None:
        self._body: bytes | None = body
        self._receive = receive
        self._end_s = end_s
        self.length = len(body)
        self.expired = False

    async def __call__(self) -> Message:
        if self._body is None:
            try:
                async with asyncio.timeout_at(self._end_s):
                    return await self._receive()
            except TimeoutError:
                self.expired = True
                return {"type": "http.disconnect"}
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


async def send_error(send: Send, error: RequestError, *, anthropic: bool = False) -> None:
    """Answers with `error` in OpenAI's shape, or in Anthropic's."""
    body = anthropic_body(error) if anthropic else openai_body(error)
    headers = {"content-type": "application/json", "content-length": str(len(body)), **error.headers()}
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


def _decode(body: bytes) -> dict[str, Any]:
    try:
        fields = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The request body is not valid JSON: {error}.") from error
    if not isinstance(fields, dict):
        raise InvalidRequest("The request body must be a JSON object.")
    return fields


def _encode(fields: Mapping[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(fields)
    except RecursionError as error:
        raise InvalidRequest("The request body is nested too deeply.") from error


def without_nulls(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A body's fields without those that are null: OpenAI takes a null for a field's default. vLLM's models take most
    nulls too, but not all of its code does: `background` and `truncation` fail when its answer is made, which on a
    stream is after the head, and `n`, `max_tokens` and others mean something else than the default. Pure."""
    return {name: value for name, value in fields.items() if value is not None}


def _resized(scope: Scope, length: int) -> Scope:
    """`scope` with the content-length of the body that was written anew."""
    kept = [pair for pair in scope["headers"] if pair[0] not in (b"content-length", b"transfer-encoding")]
    return {**scope, "headers": [*kept, (b"content-length", str(length).encode())]}


def _provenance(entry: SlotEntry) -> tuple[tuple[bytes, bytes], ...]:
    return (
        (b"x-patchbay-adapter", entry.name.encode()),
        (b"x-patchbay-digest", entry.staged.digest.encode()),
    )
