"""A real Redis server on a free port, for as long as a block lasts."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from loadtests import servers

NO_REDIS = f"{servers.NO_REDIS}, so it is not tested here"


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A server. `process` can be ended."""

    url: str
    process: "subprocess.Popen[bytes]"


def has_redis() -> bool:
    """Whether there is a Redis server to start."""
    return servers.has_redis()


@contextmanager
def running_redis() -> Iterator[RedisServer]:
    """A server that keeps nothing on disk."""
    server = servers.RedisServer()
    try:
        yield RedisServer(server.url, server.process)
    finally:
        server.end()
