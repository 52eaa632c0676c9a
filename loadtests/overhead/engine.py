"""The fake engine of the benchmark: a plain OpenAI server on a bare asyncio protocol, that emits a token a chunk.

`python -m loadtests.overhead.engine PORT`. A request's `max_tokens` is the number of chunks, and its `user` the
milliseconds between two of them. Under `/ours` it speaks as a replica of Patchbay does, which tells its state, and a
token's id beside each chunk where it is asked for them.
"""

import asyncio
import json
import re
import sys
from typing import cast

import uvloop

_MODELS = b'{"object":"list","data":[{"id":"fake","object":"model","created":1,"owned_by":"bench"}]}'
_INFO = b'{"model_path":"fake","tokenizer_path":"fake","is_generation":true,"model_id":"fake"}'
_ANSWER = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"fake","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"Hello."},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,'
    b'"completion_tokens":2,"total_tokens":7}}'
)
_CHUNK = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"fake","choices":[{"index":0,'
    b'"delta":{"content":" token"},"logprobs":null,"finish_reason":null}]}\n\n'
)
_STATUS = {
    "replica": "fake",
    "phase": "ready",
    "base": {"name": "fake", "source": "fake", "quantization": None, "max_model_len": 8192},
    "tasks": ["generate"],
    "revisions": [],
    "slots": {"slots": 8, "slots_used": 0, "cpu": 8, "cpu_used": 0},
    "requests": {"running": 0, "waiting": 0, "kv_cache_use": 0.0},
}
_WITH_ID = b": ids 12345\n" + _CHUNK
_FRAMED_WITH_ID = b"%x\r\n%b\r\n" % (len(_WITH_ID), _WITH_ID)
_FRAMED = b"%x\r\n%b\r\n" % (len(_CHUNK), _CHUNK)
_DONE = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
_STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_COUNT = re.compile(rb'"max_tokens": *(\d+)')
_PAUSE = re.compile(rb'"user": *"(\d+)"')


class Engine(asyncio.Protocol):
    """One connection to the fake engine."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        needed = int(length[1]) if length else 0
        if found and len(rest) >= needed:
            self._buffer = rest[needed:]
            self._answer(head, rest[:needed])

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"POST"):
            if b'"stream":true' in body or b'"stream": true' in body:
                self._write(_STREAM)
                count, pause = _COUNT.search(body), _PAUSE.search(body)
                chunk = _FRAMED_WITH_ID if b"x-patchbay-token-ids" in head else _FRAMED
                self._chunk(chunk, int(count[1]) if count else 64, int(pause[1]) / 1000 if pause else 0.005)
            else:
                self._whole(_ANSWER)
            return
        path = head.split(b" ", 2)[1]
        if path == b"/ours/internal/status":
            self._whole(json.dumps(_STATUS).encode())
        elif path.startswith(b"/internal"):
            self._write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
        else:
            self._whole(_MODELS if path.startswith(b"/v1/models") else _INFO)

    def _chunk(self, chunk: bytes, left: int, pause_s: float) -> None:
        if left:
            self._write(chunk)
            self._loop.call_later(pause_s, self._chunk, chunk, left - 1, pause_s)
        else:
            self._write(_DONE)

    def _whole(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
        self._write(head + body)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


async def serve(port: int) -> None:
    """Serves on loopback until killed."""
    server = await asyncio.get_running_loop().create_server(Engine, "127.0.0.1", port, backlog=8192)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
