import asyncio

import pytest

from adapters.asgi import Message
from adapters.errors import Unavailable
from router.connection import ClientGone, WhileConnected

pytestmark = pytest.mark.anyio


class Client:
    """A client that stays until `leave` is set."""

    def __init__(self) -> None:
        self.leave = asyncio.Event()

    async def receive(self) -> Message:
        await self.leave.wait()
        return {"type": "http.disconnect"}


async def test_work_ends_at_once_when_the_client_leaves() -> None:
    client = Client()
    asyncio.get_running_loop().call_soon(client.leave.set)
    with pytest.raises(ClientGone):
        async with WhileConnected(client.receive):
            await asyncio.Event().wait()


async def test_work_that_ends_first_leaves_nothing_running() -> None:
    before = asyncio.all_tasks()
    async with WhileConnected(Client().receive):
        pass
    assert asyncio.all_tasks() == before


async def test_an_error_of_the_work_is_passed_on_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        async with WhileConnected(Client().receive):
            raise ZeroDivisionError


async def test_an_interruption_ends_the_work_with_its_cause() -> None:
    work = WhileConnected(Client().receive)
    asyncio.get_running_loop().call_soon(work.interrupt, Unavailable("over"))
    with pytest.raises(Unavailable, match="over"):
        async with work:
            await asyncio.Event().wait()


async def test_an_interruption_just_when_the_work_ended_is_not_lost_or_left_pending() -> None:
    work = WhileConnected(Client().receive)
    with pytest.raises(Unavailable):
        async with work:
            work.interrupt(Unavailable("over"))
    await asyncio.sleep(0)


async def test_an_interruption_after_the_end_does_nothing() -> None:
    work = WhileConnected(Client().receive)
    async with work:
        pass
    work.interrupt(Unavailable("over"))
    await asyncio.sleep(0)


async def test_a_cancellation_from_outside_stays_one() -> None:
    started = asyncio.Event()

    async def run() -> None:
        async with WhileConnected(Client().receive):
            started.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(run())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
