"""Background work that fails goes on, and is not silent about it."""

import asyncio
import logging

import pytest

from patchbay.core.background import keep_running

pytestmark = pytest.mark.anyio


async def test_work_that_fails_is_counted_logged_and_begun_anew(caplog: pytest.LogCaptureFixture) -> None:
    counted: list[str] = []
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise ValueError("nobody expected that")

    with caplog.at_level(logging.ERROR):
        await keep_running("limiter", work, counted.append, again_s=0)
    assert (runs, counted) == (3, ["limiter", "limiter"])
    assert "limiter failed in the router" in caplog.text


async def test_work_that_is_cancelled_is_not_begun_anew() -> None:
    counted: list[str] = []
    running = asyncio.create_task(keep_running("poller", asyncio.Event().wait, counted.append))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert counted == []
