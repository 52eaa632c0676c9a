"""One request at a time, by the code that the sending process runs, against a real router and the fake engine."""

import asyncio
import time
from typing import Any

import pytest

from loadtests.load.records import Job, Planned, Record
from loadtests.load.sending import Sender
from tests.fakes.engine import FakeEngine, revision
from tests.fakes.routers import running_router

pytestmark = pytest.mark.anyio


def engine(**settings: Any) -> FakeEngine:
    return FakeEngine(**{"revisions": (revision("sql"),), **settings})


def asked(*, stream: bool = True, tenant: str = "", expects: str | None = None) -> Planned:
    body = {"model": "sql", "messages": [{"role": "user", "content": "hi"}], "stream": stream}
    return Planned(0, 0.0, "sql", tenant, body, None, expects)


async def send(url: str, planned: Planned, *, keys: dict[str, str] | None = None, timeout_s: float = 10) -> Record:
    sender = Sender(Job(url, (planned,), keys or {}, timeout_s, 1), time.monotonic())
    return await asyncio.to_thread(sender.send, planned)


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_has_its_tokens_and_who_gave_it(stream: bool) -> None:
    fake = engine()
    fake.script.chunks = 9
    async with running_router(fake) as router:
        record = await send(router.url, asked(stream=stream))
    assert (record.outcome, record.status, record.tokens, record.revision) == ("answered", 200, 9, "sql@1")
    assert (record.first_s is not None) == stream


async def test_the_longest_gap_between_two_tokens_is_kept() -> None:
    fake = engine()
    fake.script.chunks, fake.script.delay_s = 3, 0.2
    async with running_router(fake) as router:
        record = await send(router.url, asked())
    assert record.gap_s >= 0.1


@pytest.mark.parametrize(("fault", "kind"), [("error_500", "500 server_error"), ("hang", "timeout")])
async def test_what_goes_wrong_is_told_by_its_kind(fault: Any, kind: str) -> None:
    fake = engine()
    fake.script.fault = fault
    async with running_router(fake) as router:
        record = await send(router.url, asked(), timeout_s=1)
    assert (record.outcome, record.kind) == ("failed", kind)


@pytest.mark.parametrize("fault", ["die", "end_early"])
async def test_a_stream_that_is_not_whole_has_failed(fault: Any) -> None:
    # A plain server's streams cannot be carried on.
    fake = engine(base="sql", revisions=(), plain=True)
    fake.script.fault = fault
    async with running_router(fake) as router:
        record = await send(router.url, asked())
    assert (record.outcome, record.status) == ("failed", 200)
    assert record.kind.startswith(("in the stream", "a stream that ends early", "broken"))


async def test_a_tenant_asks_with_its_own_key() -> None:
    keys = {"acme": "pb-acme-key", "stranger": "wrong"}
    async with running_router(engine(), api_keys=["pb-acme-key"]) as router:
        known = await send(router.url, asked(tenant="acme"), keys=keys)
        stranger = await send(router.url, asked(tenant="stranger"), keys=keys)
    assert (known.status, stranger.status, stranger.outcome) == (200, 401, "failed")


async def test_a_wrong_answer_is_voted_down_and_a_right_one_is_not() -> None:
    fake = engine()
    fake.script.words = ("SELECT ", "1;")
    async with running_router(fake) as router:
        wrong = await send(router.url, asked(expects="SELECT 2;"))
        right = await send(router.url, asked(expects="SELECT 1;"))
    assert (wrong.right, right.right) == (False, True)


async def test_a_server_that_is_not_there_is_a_failure_and_no_crash() -> None:
    record = await send("http://127.0.0.1:9", asked())
    assert (record.outcome, record.kind) == ("failed", "broken: ConnectionRefusedError")
