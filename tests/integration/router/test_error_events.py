"""The stock clients of OpenAI and Anthropic read how a stream ends that fails late, in the router or on its replica."""

import json
from collections.abc import Sequence
from typing import Any

import anthropic
import openai
import pytest

from patchbay.core.error_events import error_event
from patchbay.core.errors import NotFinite
from patchbay.server.engine_errors import rewrite_event
from tests.fakes.engine import FakeEngine
from tests.fakes.routers import running_router

pytestmark = pytest.mark.anyio
CLIENT: dict[str, Any] = {"api_key": "any", "max_retries": 0}
CREATED = b'event: response.created\ndata: {"type":"response.created","sequence_number":0}\n\n'
DELTA = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":4}\n\n'
STARTED = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","role":"assistant","content":[]}}\n\n'
)
# As vLLM tells of it amid a stream.
FAILED = f"data: {json.dumps({'error': {'message': NotFinite('sql@1').message, 'code': 500}})}\n\n".encode()


async def responses(raw: Sequence[bytes], *, dies: bool) -> openai.APIError:
    """What OpenAI's client raises amid a response."""
    fake = FakeEngine(plain=True, token=None)
    fake.script.raw, fake.script.fault, fake.script.die_after = list(raw), "die_in_event" if dies else "none", 1
    async with running_router(fake) as router, openai.AsyncOpenAI(base_url=f"{router.url}/v1", **CLIENT) as client:
        stream = await client.responses.create(model="demo-base", input="hi", stream=True)
        with pytest.raises(openai.APIError) as raised:
            async for _ in stream:
                pass
    return raised.value


async def messages(raw: Sequence[bytes], *, dies: bool) -> anthropic.APIStatusError:
    """What Anthropic's client raises amid a message."""
    fake = FakeEngine(plain=True, token=None)
    fake.script.raw, fake.script.fault, fake.script.die_after = list(raw), "die_in_event" if dies else "none", 1
    async with running_router(fake) as router, anthropic.AsyncAnthropic(base_url=router.url, **CLIENT) as client:
        stream = await client.messages.create(
            model="demo-base", max_tokens=4, messages=[{"role": "user", "content": "hi"}], stream=True
        )
        with pytest.raises(anthropic.APIStatusError) as raised:
            async for _ in stream:
                pass
    return raised.value


async def test_openais_client_raises_what_a_replica_says_late_of_a_response_with_its_code() -> None:
    error = await responses([CREATED, DELTA, rewrite_event(FAILED, "responses", DELTA)], dies=False)
    assert (error.message, error.code) == (NotFinite("sql@1").message, "not_finite")


async def test_openais_client_raises_a_replicas_death_amid_a_response() -> None:
    error = await responses([CREATED, DELTA], dies=True)
    assert (error.code, error.type) == ("upstream_failed", "server_error")


async def test_anthropics_client_raises_what_a_replica_says_late_of_a_message() -> None:
    error = await messages([STARTED, rewrite_event(FAILED, "messages", STARTED)], dies=False)
    assert NotFinite("sql@1").message in str(error)
    assert "api_error" in str(error)


async def test_anthropics_client_raises_a_replicas_death_amid_a_message() -> None:
    error = await messages([STARTED, STARTED], dies=True)
    assert "replica failed" in str(error)


def test_the_event_of_a_response_has_the_fields_that_are_documented_and_goes_on_counting() -> None:
    error = {"message": "odd", "type": "server_error", "param": None, "code": "x"}
    event = error_event("responses", json.dumps({"error": error}).encode(), CREATED + DELTA)
    name, _, data = event.removesuffix(b"\n\n").partition(b"\n")
    assert name == b"event: error"
    told = json.loads(data.removeprefix(b"data: "))
    assert told == {
        "type": "error",
        "code": "x",
        "message": "odd",
        "param": None,
        "sequence_number": 5,
        "error": error,
    }
