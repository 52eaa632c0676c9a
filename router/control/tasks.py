"""Background tasks of the control loop, each under a key, never two of one key at a time."""

import asyncio
from collections.abc import Coroutine, Hashable
from typing import Any


class KeyedTasks:
    """Runs coroutines in a task group that owns and awaits them. An exception would end the whole group, so they must
    not raise."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._running: dict[Hashable, asyncio.Task[None]] = {}

    def start(self, key: Hashable, work: Coroutine[Any, Any, None]) -> None:
        """Starts `work`, unless a task of that key is under way: then `work` is dropped."""
        if key in self._running:
            work.close()
            return
        task = self._group.create_task(work, name=str(key))
        self._running[key] = task
        task.add_done_callback(lambda _: self._running.pop(key, None))

    def running(self, key: Hashable) -> bool:
        """Whether a task of that key is under way."""
        return key in self._running

    def cancel_all(self) -> None:
        """Cancels all tasks; the group still awaits them."""
        for task in list(self._running.values()):
            task.cancel()
