"""A real Redis server on a free port, for as long as a block lasts."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import redis

from tests.fakes.routers import free_port

NO_REDIS = "Redis is not installed (Debian: apt-get install redis-server), so it is not tested here"


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A server. `process` can be ended."""

    url: str
    process: "subprocess.Popen[bytes]"


def has_redis() -> bool:
    """Whether there is a Redis server to start."""
    return shutil.which("redis-server") is not None


@contextmanager
def running_redis() -> Iterator[RedisServer]:
    """A server that keeps nothing on disk."""
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            client = redis.Redis(port=port)
            for _ in range(200):
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    time.sleep(0.02)
            client.close()
            yield RedisServer(f"redis://127.0.0.1:{port}/0", process)
        finally:
            process.terminate()
