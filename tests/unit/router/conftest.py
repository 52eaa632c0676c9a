"""Async tests run on asyncio, and no turn of an event loop may take long."""

import pytest

from tests.fakes.turns import frozen_heap, quick_turns

__all__ = ["frozen_heap", "quick_turns"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
