"""Replicas that say what no replica should: their clients, and those of others, notice as little as can be."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from patchbay.router.process.app import Router
from tests.fakes.raw_replica import RawReplica, answer, chunked
from tests.fakes.routers import running_router, until
from tests.fakes.turns import offload
from tests.integration.router.wire import CHAT, ask, client_of, error_of, post

pytestmark = pytest.mark.anyio
WHOLE = {"id": "chatcmpl-x", "object": "chat.completion", "created": 1, "model": "demo-base"}
GOOD = answer(json.dumps({**WHOLE, "choices": [{"index": 0, "message": {"content": "good"}}]}).encode())
EVIL = answer(b"PWNED!")
ODD = ask(user="odd")
EVENT = b'data: {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]}\n\n'


@asynccontextmanager
async def routed(*said: bytes, **settings: object) -> AsyncIterator[tuple[Router, RawReplica]]:
    """A router before a replica that says `said` to a post that is `ODD`, and a good answer to each other one."""

    def tell(body: bytes) -> Sequence[bytes]:
        return said if b"odd" in body else (GOOD,)

    async with RawReplica(tell).running() as replica, running_router(replica, **settings) as router:
        await until(lambda: router.fleet.view.ready == 1)
        yield router, replica


@pytest.mark.parametrize(
    "first",
    [GOOD, chunked(EVENT, b"data: [DONE]\n\n"), answer(b"", 204)],
    ids=["document", "stream", "no body"],
)
async def test_an_answer_nobody_asked_for_reaches_no_other_request(first: bytes) -> None:
    async with routed(first + answer(EVIL)) as (router, replica), client_of(router) as client:
        before = replica.closed
        answers = [await client.post(CHAT, json=body) for body in (ODD, ask(), ask())]
        assert b"PWNED" not in b"".join(one.content for one in answers)
        assert [one.status_code for one in answers[1:]] == [200, 200]
        assert answers[1].content == answers[2].content
        await until(lambda: replica.closed > before)
        assert 'upstream_failures_total{kind="protocol",replica="raw"} 1.0' in router.metrics.render().decode()


@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_a_body_ends_at_once_whatever_length_it_tells(status: int) -> None:
    async with routed(answer(b"hello", status)) as (router, _), asyncio.timeout(60):
        told = await post(router, ODD)
        assert (told.status_code, told.content) == (status, b"")
        assert "content-length" not in told.headers
        assert (await post(router)).status_code == 200


def crumbs(text: bytes, kind: bytes) -> bytes:
    """A body in chunks of one byte."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: " + kind + b"\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"".join(b"1\r\n%c\r\n" % byte for byte in text) + b"0\r\n\r\n"


@pytest.mark.parametrize(("kind", "count"), [(b"application/json", 800_000), (b"text/event-stream", 200_000)])
async def test_a_body_in_crumbs_holds_nobody_up(kind: bytes, count: int) -> None:
    text = b":\n\n" * count + b"data: [DONE]\n\n"
    with offload():
        said = crumbs(text, kind)
    async with routed(said) as (router, _), client_of(router) as client:
        crumbling = asyncio.create_task(client.post(CHAT, json=ODD, timeout=60))
        while not crumbling.done():
            assert (await client.post(CHAT, json=ask())).status_code == 200
        assert (await crumbling).content == text


GUARDED = {
    "guards": {"pii": {"kind": "rules", "sets": ["pii"], "action": "redact"}},
    "routes": {"guarded": {"model": "demo-base", "guards": ["pii"]}},
}
UNREADABLE = [b'{"choices": [null]}', b'{"choices": 5}', b"[5]", b'{"choices": [{"index": {}, "text": "a"}]}', b"{"]


@pytest.mark.parametrize("said", UNREADABLE)
async def test_an_answer_that_guards_cannot_read_is_the_replicas_error(said: bytes) -> None:
    async with routed(answer(said), **GUARDED) as (router, _):
        told = await post(router, ask("guarded", user="odd"))
        metrics = router.metrics.render().decode()
    assert (told.status_code, error_of(told)["code"]) == (502, "guard_failed")
    assert 'upstream_failures_total{kind="protocol",replica="raw"} 1.0' in metrics
    assert 'faults_total{where="proxy"}' not in metrics


@pytest.mark.parametrize("said", UNREADABLE)
async def test_a_stream_that_guards_cannot_read_ends_with_an_error(said: bytes) -> None:
    stream = chunked(EVENT, b"data: " + said + b"\n\n", b"data: [DONE]\n\n")
    async with routed(stream, **GUARDED) as (router, _):
        told = await post(router, ask("guarded", stream=True, user="odd"))
        metrics = router.metrics.render().decode()
    assert '"code": "guard_failed"' in told.text
    assert "null" not in told.text.replace('"param": null', "")
    assert 'upstream_failures_total{kind="protocol",replica="raw"} 1.0' in metrics
    assert 'faults_total{where="proxy"}' not in metrics
