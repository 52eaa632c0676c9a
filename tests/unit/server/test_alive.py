"""Nobody waits for an engine that is dead."""

import asyncio

import pytest

from patchbay.core.errors import AdapterRejected, Unavailable
from patchbay.server.alive import while_alive

pytestmark = pytest.mark.anyio


async def test_what_a_dead_engine_was_asked_ends_with_an_error_and_is_cancelled() -> None:
    cancelled = asyncio.Event()

    async def never() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(Unavailable, match="its core has gone"):
        async with asyncio.timeout(10):
            await while_alive(lambda: "its core has gone", never())
    assert cancelled.is_set()


async def test_what_a_living_engine_answers_is_had_even_if_it_takes_a_while() -> None:
    async def slow() -> int:
        await asyncio.sleep(0.6)
        return 3

    assert await while_alive(lambda: None, slow()) == 3


async def test_what_it_refuses_is_refused() -> None:
    async def refused() -> None:
        raise AdapterRejected("no", param="model")

    with pytest.raises(AdapterRejected):
        await while_alive(lambda: None, refused())


async def test_who_goes_away_takes_the_question_along() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def never() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    asking = asyncio.create_task(while_alive(lambda: None, never()))
    await started.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert cancelled.is_set()
