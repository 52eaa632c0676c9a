"""The gate in front of the engine's own endpoints, which gives each request its revision.

It reads the body once, finds the revision and keeps a reference to it. The reference lasts for exactly as long as the
engine's application runs for this request, whether it ends, streams, fails or is cancelled.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

import msgspec

from patchbay.core.asgi import Message, Receive, Scope, Send, header, receive_body
from patchbay.core.error_bodies import anthropic_body, openai_body
from patchbay.core.error_events import form_of
from patchbay.core.errors import DeadlineExceeded, InvalidRequest, ModelNotFound, RequestError, RevisionMissing
from patchbay.server import token_ids
from patchbay.server.engine import EngineLora
from patchbay.server.engine_errors import EngineErrors
from patchbay.server.forms import check_forms
from patchbay.server.replica import ServingReplica
from patchbay.server.request_checks import check_request
from patchbay.server.slots import SlotEntry
from patchbay.server.thinking import without_thinking

# Path to the task, in vLLM's words, that the base model must support; None where any base model will do.
ENDPOINTS: Mapping[str, str | None] = {
    "/v1/chat/completions": "generate",
    "/v1/completions": "generate",
    "/v1/responses": "generate",
    "/v1/embeddings": "embed",
    "/v1/score": "score",
    "/v1/rerank": "score",
    "/v2/rerank": "score",
    "/v1/messages": "generate",
    "/v1/messages/count_tokens": "generate",
    "/tokenize": None,
    "/detokenize": None,
}
# The router decides which revision a name means, and names it in this header.
_REVISION = b"x-patchbay-revision"
# The time that the router gives this request: whole milliseconds.
_DEADLINE = b"x-patchbay-timeout-ms"
# The request's priority in vLLM's scheduler: a whole number, the smaller the sooner.
_PRIORITY = b"x-patchbay-priority"
# Tells which field of the request was left out, since the model can do nothing with it.
_IGNORED_THINKING = (b"x-patchbay-ignored", b"thinking")
# The most digits that are read of a number in a header. As milliseconds, they are more than a year.
_MAX_DIGITS = 12
_TIMED_OUT = "The answer was not there within the time that it was given."


class EngineGate:
    """The ASGI application of the paths in `ENDPOINTS`.

    All of them are POST requests with a JSON object that names a `model`.
    """

    def __init__(self, replica: ServingReplica) -> None:
        self._replica = replica

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        metrics, endpoint = self._replica.metrics, scope["path"]
        form = form_of(endpoint)
        answer = EngineErrors(send, form, lambda: self._replica.failure is not None)
        metrics.in_flight.inc()
        try:
            with self._replica.counted():
                await self._answer(scope, receive, answer)
        except asyncio.CancelledError:
            if self._replica.failure is None:
                raise
            await answer.break_off()
        except RequestError as error:
            await send_error(send, error, anthropic=form == "messages")
            answer.status = error.status
        finally:
            metrics.in_flight.dec()
            metrics.requests.labels(endpoint=endpoint, outcome=answer.outcome).inc()

    async def _answer(self, scope: Scope, receive: Receive, send: EngineErrors) -> None:
        deadline_s = _deadline_s(scope)
        body = await receive_body(receive, self._replica.config.max_body_bytes)
        if body is None:
            return
        decoded = _decode(body)
        check_request(decoded, body)
        fields = without_nulls(decoded)
        check_forms(fields)
        if not self._replica.config.thinks:
            asked, fields = "thinking" in fields, without_thinking(scope["path"], fields)
            send.headers = (_IGNORED_THINKING,) if asked and "thinking" not in fields else ()
        entry = self._entry(fields, header(scope["headers"], _REVISION))
        self._check_task(scope["path"])
        priority = _priority(scope)
        if priority is not None:
            fields["priority"] = priority
        ids = token_ids.is_requested(scope["path"], fields, header(scope["headers"], token_ids.HEADER))
        if ids:
            fields["return_token_ids"] = True
        engine_send: Send = token_ids.TokenIds(send) if ids else send
        if entry is None:
            # A body of which nothing was changed is passed on byte for byte.
            changed = ids or priority is not None or len(fields) < len(decoded)
            body = _encode(fields) if changed else body
            await self._run(scope, _Replay(body, receive, deadline_s), engine_send, send)
            return
        async with AsyncExitStack() as references:
            lora = await self._acquire(references, entry, deadline_s)
            body = _encode({**fields, "model": lora.name})
            send.headers += _provenance(entry)
            await self._run(scope, _Replay(body, receive, deadline_s), engine_send, send)

    async def _acquire(self, references: AsyncExitStack, entry: SlotEntry, deadline_s: float | None) -> EngineLora:
        """Keeps `entry` resident until `references` closes. Raises DeadlineExceeded where it is not in time."""
        try:
            async with asyncio.timeout_at(deadline_s):
                return await references.enter_async_context(self._replica.slots.use(entry))
        except TimeoutError as error:
            raise DeadlineExceeded(_TIMED_OUT) from error

    async def _run(self, scope: Scope, replay: "_Replay", send: Send, answer: EngineErrors) -> None:
        """Has the engine's application answer. Raises DeadlineExceeded where nothing was answered in time.

        An answer that has begun by then is cut short: whoever set the deadline has answered its client already.
        """

        async def send_in_time(message: Message) -> None:
            if answer.status or not replay.expired:
                await send(message)

        await self._replica.engine.app(_with_content_length(scope, replay.length), replay, send_in_time)
        if replay.expired and not answer.status:
            raise DeadlineExceeded(_TIMED_OUT)

    def _check_task(self, endpoint: str) -> None:
        task, engine = ENDPOINTS[endpoint], self._replica.engine
        if task is not None and task not in engine.tasks:
            raise InvalidRequest(f"The base model '{engine.base.name}' cannot {task}.", param="model")

    def _entry(self, fields: Mapping[str, Any], chosen: bytes | None) -> SlotEntry | None:
        """Returns the revision that the router has `chosen`, else the one that the body's `model` means.

        None stands for the base model.
        """
        if chosen is not None:
            return self._find_exact(chosen.decode("latin-1"))
        model = fields.get("model")
        if not isinstance(model, str) or not model:
            raise InvalidRequest("The request must name a 'model', as a string.", param="model")
        if model == self._replica.engine.base.name:
            return None
        if len(model) > 256:
            raise ModelNotFound(f"{model[:64]}…")
        return self._replica.slots.find(model)

    def _find_exact(self, engine_name: str) -> SlotEntry:
        """Finds the revision with exactly this name. Raises RevisionMissing where it is not here (any more).

        That is another error than ModelNotFound, because the router knows that the revision exists, and can ask another
        replica.
        """
        try:
            return self._replica.slots.find(engine_name)
        except ModelNotFound as error:
            raise RevisionMissing(f"{engine_name[:128]} is not on {self._replica.config.name} now.") from error


def _deadline_s(scope: Scope) -> float | None:
    """Returns the request's deadline by the event loop's clock, in seconds; None where the router sets none."""
    value = header(scope["headers"], _DEADLINE) or b""
    if not value.isdigit() or len(value) > _MAX_DIGITS:
        return None
    return asyncio.get_running_loop().time() + int(value) / 1000


def _priority(scope: Scope) -> int | None:
    """Returns the request's priority, None where the router sets none. Raises InvalidRequest."""
    value = header(scope["headers"], _PRIORITY)
    if value is None:
        return None
    if not value.removeprefix(b"-").isdigit() or len(value) > _MAX_DIGITS:
        raise InvalidRequest(f"'{_PRIORITY.decode()}' must be a whole number of at most {_MAX_DIGITS} digits.")
    return int(value)


class _Replay:
    """A `receive` that replays the body that was read already, then passes on what else comes: a disconnect.

    Past `deadline_s` (seconds, the event loop's clock) it reports a disconnect, too: vLLM ends its work on a request
    when its client leaves, but not when the task that waits for it is cancelled. `expired`: whether it has done so.
    """

    def __init__(self, body: bytes, receive: Receive, deadline_s: float | None) -> None:
        self._body: bytes | None = body
        self._receive = receive
        self._deadline_s = deadline_s
        self.length = len(body)
        self.expired = False

    async def __call__(self) -> Message:
        if self._body is None:
            try:
                async with asyncio.timeout_at(self._deadline_s):
                    return await self._receive()
            except TimeoutError:
                self.expired = True
                return {"type": "http.disconnect"}
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


async def send_error(send: Send, error: RequestError, *, anthropic: bool = False) -> None:
    """Answers with `error` in OpenAI's shape, or in Anthropic's where `anthropic` is set."""
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
    """Returns a body's fields without those that are null. Pure.

    OpenAI takes a null for a field's default. vLLM's models take most nulls too, but not all of its code does:
    `background` and `truncation` fail when its answer is made, which on a stream is after the head. A null in `n`,
    `max_tokens` and others means something else than the default.
    """
    return {name: value for name, value in fields.items() if value is not None}


def _with_content_length(scope: Scope, length: int) -> Scope:
    """Returns `scope` with the content-length of the body that was encoded anew, in bytes."""
    headers = [pair for pair in scope["headers"] if pair[0] not in (b"content-length", b"transfer-encoding")]
    return {**scope, "headers": [*headers, (b"content-length", str(length).encode())]}


def _provenance(entry: SlotEntry) -> tuple[tuple[bytes, bytes], ...]:
    return (
        (b"x-patchbay-adapter", entry.name.encode()),
        (b"x-patchbay-digest", entry.staged.digest.encode()),
    )
