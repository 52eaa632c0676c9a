"""A client that goes away amid its answer frees its request in the engine, however it goes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.engine.conftest import Stack

pytestmark = pytest.mark.engine
# So small a model writes thousands of tokens a second: this is some ten seconds of work.
LONG: dict[str, Any] = {
    "model": "demo-base",
    "messages": [{"role": "user", "content": "hi"}],
    "max_tokens": 1900,
    "n": 24,
}
TO_THE_END = {"ignore_eos": True}


def running(stack: Stack) -> int:
    return int(stack.status()["requests"]["running"])


def tokens_written(stack: Stack) -> float:
    with stack.replica() as replica:
        lines = replica.get("/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("vllm:generation_tokens_total"))


@contextmanager
def freed_within_a_second(stack: Stack) -> Iterator[None]:
    """The client leaves in the block, before all that it asked for is written."""
    before = tokens_written(stack)
    yield
    deadline = time.monotonic() + 1
    while (count := running(stack)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not count, f"{count} still run a second after their client left"
    written = tokens_written(stack)
    assert written - before < LONG["n"] * LONG["max_tokens"], "all of the answer was written: nobody left in time"
    time.sleep(0.3)
    assert tokens_written(stack) == written, "the engine goes on writing for nobody"


def test_a_stream_whose_connection_is_closed(stack: Stack) -> None:
    body = LONG | TO_THE_END | {"stream": True}
    with (
        freed_within_a_second(stack),
        httpx.stream("POST", f"{stack.url}/v1/chat/completions", json=body, timeout=30) as answer,
    ):
        next(answer.iter_lines())


def test_a_stream_that_the_openai_client_closes(stack: Stack, client: OpenAI) -> None:
    with freed_within_a_second(stack):
        stream = client.chat.completions.create(**LONG, stream=True, extra_body=TO_THE_END)
        next(iter(stream))
        stream.close()


def test_a_whole_answer_that_the_openai_client_waits_for_no_longer(stack: Stack, client: OpenAI) -> None:
    with freed_within_a_second(stack), pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=1).chat.completions.create(**LONG, extra_body=TO_THE_END)


def test_a_deadline_that_the_client_gave(stack: Stack) -> None:
    late = {"x-patchbay-timeout-ms": "1000"}
    with freed_within_a_second(stack):
        answer = httpx.post(f"{stack.url}/v1/chat/completions", json=LONG | TO_THE_END, headers=late, timeout=30)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded")
