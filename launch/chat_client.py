"""Client of the public port for `patchbay chat`: one question, and the answer as it streams."""

import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from patchbay.core.errors import PatchbayError

Message = dict[str, str]
_TIMEOUT = httpx.Timeout(10, read=600)


class ChatFailed(PatchbayError):
    """A question that got no whole answer. The message is the server's own."""


@dataclass(slots=True)
class ChatAnswer:
    """Answer to one question, as far as it came.

    `text`: what the model says; `model`: the exact revision that said it; `replica`: empty where the router does not
    say; `ttft_s`: seconds to its first token; `seconds`: to its end; `tokens`: of the answer, 0 where unknown; `notes`:
    what the router says of the answer in its headers, such as guards' findings.
    """

    text: str = ""
    model: str = ""
    replica: str = ""
    ttft_s: float = 0.0
    seconds: float = 0.0
    tokens: int = 0
    notes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChatClient:
    """Client of one router. `url`: of its public port; `key`: an API key, None on an open port."""

    url: str
    key: str | None = None

    async def ask(
        self, model: str, messages: Sequence[Message], said: Callable[[ChatAnswer], None], **parameters: Any
    ) -> ChatAnswer:
        """Asks `model` and returns its whole answer. `said`: called whenever there is more of it.

        `parameters`: further fields of the request, such as `max_tokens`. Raises ChatFailed.
        """
        body = {"model": model, "messages": list(messages), "stream": True, **parameters}
        body["stream_options"] = {"include_usage": True}
        headers = {"authorization": f"Bearer {self.key}"} if self.key else {}
        answer, began_s = ChatAnswer(model=model), time.perf_counter()
        try:
            async with (
                httpx.AsyncClient(timeout=_TIMEOUT) as client,
                client.stream("POST", f"{self.url}/v1/chat/completions", json=body, headers=headers) as response,
            ):
                if response.status_code != 200:
                    raise ChatFailed(_message(await response.aread(), response.status_code))
                _take_headers(answer, response.headers)
                async for event in _events(response):
                    if _take_event(answer, event) and not answer.ttft_s:
                        answer.ttft_s = time.perf_counter() - began_s
                    answer.seconds = time.perf_counter() - began_s
                    said(answer)
        except httpx.HTTPError as error:
            raise ChatFailed(f"{self.url} does not answer: {str(error) or type(error).__name__}.") from error
        return answer


async def _events(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    async for line in response.aiter_lines():
        data = line.removeprefix("data: ")
        if data in (line, "[DONE]"):
            continue
        yield json.loads(data)


def _take_headers(answer: ChatAnswer, headers: httpx.Headers) -> None:
    own = {name.removeprefix("x-patchbay-"): value for name, value in headers.items() if name.startswith("x-patchbay-")}
    answer.replica = own.pop("replica", "")
    answer.notes = {name: value for name, value in own.items() if name not in ("adapter", "digest")}


def _take_event(answer: ChatAnswer, event: dict[str, Any]) -> bool:
    """Adds what `event` says to `answer`. Returns whether that is text. Raises ChatFailed for an error."""
    if "error" in event:
        raise ChatFailed(str(event["error"].get("message") or "The stream broke off."))
    answer.model = event.get("model") or answer.model
    answer.tokens = (event.get("usage") or {}).get("completion_tokens") or answer.tokens
    delta = event["choices"][0].get("delta") or {} if event.get("choices") else {}
    text = delta.get("content") or ""
    answer.text += text
    return bool(text)


def _message(body: bytes, status: int) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"The server answered with status {status}."
