"""Async tests run on asyncio, and Ctrl-C reaches the processes that tests start."""

import signal

import pytest


def pytest_configure() -> None:
    """Takes SIGINT where this process was told to ignore it, as a shell does for what it runs in the background: that
    would be inherited, and a command under test would never see its Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
