"""Short ways to talk to a router."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx

from patchbay.router.process.app import Router

CHAT = "/v1/chat/completions"
# Nothing here is encrypted, and to load all authorities for each client takes 50 ms of the event loop.
NO_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def client_of(router: Router, **headers: str) -> httpx.AsyncClient:
    """An HTTP client of the router's public port."""
    return httpx.AsyncClient(base_url=router.url, headers=headers, timeout=10, verify=NO_TLS)


def ask(model: str = "demo-base", *, stream: bool = False, **fields: Any) -> dict[str, Any]:
    """The body of a chat completion request."""
    return {"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": stream, **fields}


async def until_refused(router: Router) -> None:
    """Waits until the public port takes no new connection. Raises TimeoutError where it goes on."""
    with contextlib.suppress(httpx.ConnectError):
        async with asyncio.timeout(60):
            while True:
                await post(router, {})


async def post(
    router: Router, body: Mapping[str, Any] | None = None, path: str = CHAT, **headers: str
) -> httpx.Response:
    """One request's answer, read whole."""
    async with client_of(router, **headers) as client:
        return await client.post(path, json=body if body is not None else ask())


@asynccontextmanager
async def streaming(router: Router, model: str = "demo-base") -> AsyncIterator[httpx.Response]:
    """An answer that is being streamed."""
    async with client_of(router) as client, client.stream("POST", CHAT, json=ask(model, stream=True)) as response:
        yield response


def events(text: str) -> list[Any]:
    """The events of a stream: parsed JSON, or the text `[DONE]`."""
    data = [part.removeprefix("data: ") for part in text.split("\n\n") if part]
    return [item if item == "[DONE]" else json.loads(item) for item in data]


def content(response: httpx.Response) -> str:
    """The answer's text."""
    text: str = response.json()["choices"][0]["message"]["content"]
    return text


def error_of(response: httpx.Response) -> dict[str, Any]:
    """The error in OpenAI's shape, checked to be whole."""
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert response.headers["content-type"] == "application/json"
    return error
