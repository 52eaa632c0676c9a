"""Passing an answer on as it arrives: whole reads, never single events.

Of an event stream only whole events are passed on: what follows the last event's end waits for the next read. So at
any moment an error event can be added that clients can read, should the replica die. The bytes stay the same.
"""

from adapters.asgi import Headers, Send
from adapters.errors import RequestError, UpstreamFailed, openai_body
from router.upstream import Answer

_ENDS = (b"\n\n", b"\r\n\r\n")
_DONE = b"[DONE]"
_HOLD_LIMIT = 64 * 1024


class Relay:
    """One answer on its way to the client. `head_sent`: whether the client has its head; `finished`: whether it has
    its end; `sent_bytes`: how much of the body it has."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.head_sent = False
        self.event_stream = False
        self.finished = False
        self.sent_bytes = 0

    async def run(self, answer: Answer, extra: Headers, *, ends_with_done: bool) -> None:
        """Passes `answer` on with `extra` headers added.

        `ends_with_done`: whether an event stream is only whole with a last `data: [DONE]`. Raises ReplicaFailure or
        UpstreamFailed where it is not whole; `fail` then tells the client.
        """
        self.event_stream = answer.status == 200 and answer.is_event_stream
        await self._start(answer, extra)
        if self.event_stream:
            await self._events(answer, ends_with_done=ends_with_done)
        else:
            await self._bytes(answer)

    async def fail(self, error: RequestError, extra: Headers) -> None:
        """Tells the client of `error` in the way that is still open: as an answer, or as a stream's last event.

        Where neither is possible nothing more is sent, so that the server cuts the connection and the answer cannot
        pass for a whole one.
        """
        if self.finished:
            return
        if not self.head_sent:
            await self._refuse(error, extra)
        elif self.event_stream:
            await self._body(b"data: " + openai_body(error) + b"\n\n")
            await self._end()

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Sends an answer of the router's own."""
        self.head_sent = True
        length = (b"content-length", b"%d" % len(body))
        await self._send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
        self.sent_bytes += len(body)
        self.finished = True
        await self._send({"type": "http.response.body", "body": body})

    async def _refuse(self, error: RequestError, extra: Headers) -> None:
        headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in error.headers().items()]
        await self.whole(error.status, [(b"content-type", b"application/json"), *headers, *extra], openai_body(error))

    async def _start(self, answer: Answer, extra: Headers) -> None:
        headers = answer.headers
        if self.event_stream:
            headers = [(name, value) for name, value in headers if name != b"content-length"]
        self.head_sent = True
        await self._send({"type": "http.response.start", "status": answer.status, "headers": headers + extra})

    async def _bytes(self, answer: Answer) -> None:
        data = answer.first
        while data and not answer.ended:
            await self._body(data)
            data = await answer.read()
        await self._end(data)

    async def _events(self, answer: Answer, *, ends_with_done: bool) -> None:
        data = answer.first
        held = last = b""
        while data:
            ready, held = split_events(held + data if held else data)
            if ready:
                last = ready
                await self._body(ready)
            data = await answer.read()
        if held:
            last = held
            await self._body(held)
        if ends_with_done and _DONE not in last[-32:]:
            raise UpstreamFailed("The replica ended its answer early.")
        await self._end()

    async def _body(self, data: bytes) -> None:
        self.sent_bytes += len(data)
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def _end(self, data: bytes = b"") -> None:
        self.sent_bytes += len(data)
        self.finished = True
        await self._send({"type": "http.response.body", "body": data, "more_body": False})


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
