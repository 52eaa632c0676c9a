"""Passing an answer on as it arrives: whole reads, never single events.

Of an event stream only whole events are passed on: what follows the last event's end waits for the next read. So at
any moment an error event can be added that clients can read, should the replica die. The bytes stay the same.
"""

from adapters.asgi import Headers
from adapters.errors import RequestError, UpstreamFailed, openai_body
from router.upstream.client import Answer
from router.wire.request import Reply

_ENDS = (b"\n\n", b"\r\n\r\n")
_DONE = b"[DONE]"
_HOLD_LIMIT = 64 * 1024


class Relay:
    """One answer on its way to the client. `sent_bytes`: how much of its body the client was sent."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._held = b""
        self._last = b""
        self.event_stream = False
        self.sent_bytes = 0

    @property
    def head_sent(self) -> bool:
        """Whether the client has the answer's head."""
        return self._reply.started

    async def run(self, answer: Answer, extra: Headers, *, ends_with_done: bool) -> None:
        """Passes `answer` on with `extra` headers added.

        `ends_with_done`: whether an event stream is only whole with a last `data: [DONE]`. Raises ReplicaFailure or
        UpstreamFailed where it is not whole; `fail` then tells the client.
        """
        self.event_stream = answer.status == 200 and answer.is_event_stream
        if self.event_stream:
            await self._stream(answer, extra, ends_with_done=ends_with_done)
            return
        self._reply.start(answer.status, answer.headers + extra)
        if not answer.whole:
            self._reply.follow(answer)
            await answer.pump(self._pass)
        self._end(answer.take())

    def fail(self, error: RequestError, extra: Headers) -> None:
        """Tells the client of `error` in the way that is still open: as an answer, or as a stream's last event.

        Where neither is possible nothing more is sent, so that the connection is cut and the answer cannot pass for a
        whole one.
        """
        if self._reply.finished:
            return
        if not self.head_sent:
            self._refuse(error, extra)
        elif self.event_stream:
            self._end(b"data: " + openai_body(error) + b"\n\n")

    def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Sends an answer of the router's own."""
        self._reply.start(status, headers, length=len(body))
        self._end(body)

    def _refuse(self, error: RequestError, extra: Headers) -> None:
        headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in error.headers().items()]
        self.whole(error.status, [(b"content-type", b"application/json"), *headers, *extra], openai_body(error))

    async def _stream(self, answer: Answer, extra: Headers, *, ends_with_done: bool) -> None:
        headers = [pair for pair in answer.headers if pair[0] != b"content-length"]
        self._reply.start(answer.status, headers + extra)
        self._reply.follow(answer)
        await answer.pump(self._events)
        if self._held:
            self._last = self._held
            self._pass(self._held)
        if ends_with_done and _DONE not in self._last[-32:]:
            raise UpstreamFailed("The replica ended its answer early.")
        self._end()

    def _events(self, data: bytes) -> None:
        ready, self._held = split_events(self._held + data if self._held else data)
        if ready:
            self._last = ready
            self._pass(ready)

    def _pass(self, data: bytes) -> None:
        self.sent_bytes += len(data)
        self._reply.write(data)

    def _end(self, data: bytes = b"") -> None:
        self.sent_bytes += len(data)
        self._reply.end(data)


def split_events(data: bytes) -> tuple[bytes, bytes]:
    """`data` up to the end of its last whole event, and the rest.

    A rest over 64 KiB counts as whole, which bounds what is held for a replica that ends no event.
    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html (events end with an empty line).
    """
    if data.endswith(_ENDS):
        return data, b""
    cut = max(data.rfind(end) + len(end) if end in data else 0 for end in _ENDS)
    if len(data) - cut > _HOLD_LIMIT:
        return data, b""
    return data[:cut], data[cut:]
