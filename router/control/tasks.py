"""Background work of the control loop, each piece under a key, never two of one key at a time."""

import asyncio
from collections.abc import Coroutine, Hashable
from typing import Any


class KeyedTasks:
    """Runs coroutines in a task group that owns and awaits them. What they raise ends the group, so they must not."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._running: dict[Hashable, asyncio.Task[None]] = {}

    def start(self, key: Hashable, work: Coroutine[Any, Any, None]) -> None:
        """Starts `work`, unless some of that key is under way: then it is dropped."""
        if key in self._running:
            work.close()
            return
        task = self._group.create_task(work, name=str(key))
        self._running[key] = task
        task.add_done_callback(lambda _: self._running.pop(key, None))

    def running(self, key: Hashable) -> bool:
        """Whether work of that key is under way."""
        return key in self._running

    def cancel_all(self) -> None:
        """Cancels what is under way; the group still awaits it."""
        for task in list(self._running.values()):
            task.cancel()
