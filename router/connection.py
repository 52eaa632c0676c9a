"""Work that ends when the client leaves."""

import asyncio
from types import TracebackType
from typing import Self

from adapters.asgi import Receive


class ClientGone(Exception):
    """The client closed its connection before it had its answer."""


class WhileConnected:
    """`async with WhileConnected(receive):` cancels its body at once when the client leaves, and raises ClientGone.

    The request's body must have been read: what is still received can then only be the disconnect. `interrupt` ends
    the work in the same way with an error of the caller's. A cancellation from outside passes through unchanged.
    (The pattern of `asyncio.timeout`, with another cause.)
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._cause: Exception | None = None
        self._armed = False

    async def __aenter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("WhileConnected works within a task")
        self._task = task
        self._cancelling = task.cancelling()
        self._armed = True
        self._watch = asyncio.create_task(self._until_gone())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._armed = False
        self._watch.cancel()
        try:
            await asyncio.wait({self._watch})
        except asyncio.CancelledError:
            # Interrupted just when the body had ended: the cancellation arrives here instead.
            if self._cause is None:
                raise
            kind = asyncio.CancelledError
        if self._cause is None:
            return
        ours = self._task.uncancel() <= self._cancelling
        if ours and kind is not None and issubclass(kind, asyncio.CancelledError):
            raise self._cause from error

    def interrupt(self, cause: Exception) -> None:
        """Ends the work: its `async with` raises `cause`. Does nothing where it has ended."""
        if self._armed:
            self._armed = False
            self._cause = cause
            self._task.cancel()

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.interrupt(ClientGone())
