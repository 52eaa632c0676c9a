"""The stock `openai` client against the router."""

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from patchbay.router.process.app import Router
from tests.fakes.engine import FakeEngine, revision
from tests.fakes.routers import running_router

pytestmark = pytest.mark.anyio

MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hi"}]


def client_of(router: Router) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{router.url}/v1", api_key="sk-any", max_retries=0)


async def test_whole_and_streamed_answers_and_the_list_of_models() -> None:
    async with running_router(FakeEngine(revisions=(revision("sql"),))) as router, client_of(router) as client:
        whole = await client.chat.completions.create(model="sql", messages=MESSAGES)
        stream = await client.chat.completions.create(model="sql", messages=MESSAGES, stream=True)
        streamed = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
        listed = [model.id async for model in client.models.list()]
        one = await client.models.retrieve("sql@1")
    assert whole.choices[0].message.content == streamed
    assert listed == ["demo-base", "sql", "sql@1"]
    assert one.id == "sql@1"


async def test_errors_become_the_clients_own_exceptions() -> None:
    fake = FakeEngine()
    async with running_router(fake, max_body_bytes=2000) as router, client_of(router) as client:
        with pytest.raises(openai.NotFoundError) as unknown:
            await client.chat.completions.create(model="nope", messages=MESSAGES)
        with pytest.raises(openai.APIStatusError) as large:
            await client.chat.completions.create(model="demo-base", messages=[{"role": "user", "content": "x" * 3000}])
    assert unknown.value.code == "model_not_found"
    assert large.value.status_code == 413


async def test_a_replica_that_dies_mid_stream_is_an_error_and_not_a_short_answer() -> None:
    fake = FakeEngine(plain=True, token=None)
    fake.script.fault = "die_in_event"
    async with running_router(fake) as router, client_of(router) as client:
        stream = await client.chat.completions.create(model="demo-base", messages=MESSAGES, stream=True)
        with pytest.raises(openai.APIError, match="replica failed"):
            async for _ in stream:
                pass
