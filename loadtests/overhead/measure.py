"""The measurements: CPU time a call and a chunk, time to first byte, and memory under many streams."""

import json
import re
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from loadtests.overhead.streams import request_bytes
from loadtests.overhead.targets import Running
from patchbay.core.errors import PatchbayError

CHUNKS = 64
PAUSE_MS = 5
_DONE = re.compile(r"(\d+) requests in")
_ERRORS = re.compile(r"Socket errors.*|Non-2xx.*")


@dataclass(frozen=True, slots=True)
class Round:
    """The figures of one router in one round, in microseconds: CPU a call and a chunk, and the first byte's median
    delay."""

    call_us: float
    chunk_us: float
    first_byte_us: float


@dataclass(frozen=True, slots=True)
class Crowd:
    """The figures of many streams at once: how many were opened and failed, and the memory over the start while all
    were open."""

    streams: int
    failed: int
    grown_mib: float


def measure(router: Running, folder: Path, *, seconds: int) -> Round:
    """Small calls and streams through `router` for `seconds` each."""
    calls, cpu = load(router, folder, stream=False, seconds=seconds)
    call_us = 1e6 * cpu / calls
    streams, cpu = load(router, folder, stream=True, seconds=seconds)
    return Round(call_us, 1e6 * cpu / (streams * CHUNKS), 1e6 * first_byte_s(router.url))


def first_byte_s(url: str, count: int = 200) -> float:
    """The median seconds to a stream's first byte, one stream after the other on one connection."""
    parts = urlsplit(url)
    request = request_bytes(parts.netloc, stream=True, chunks=1, pause_ms=0)
    taken = []
    with socket.create_connection((parts.hostname, parts.port or 80)) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(count):
            began = time.perf_counter()
            wire.sendall(request)
            read = wire.recv(65536)
            while b"data:" not in read:
                read += wire.recv(65536)
            taken.append(time.perf_counter() - began)
            while not read.endswith(b"0\r\n\r\n"):
                read += wire.recv(65536)
    return statistics.median(taken)


def crowd(router: Running, streams: int, *, chunks: int, pause_ms: int) -> Crowd:
    """Opens `streams` at once, each of `chunks`."""
    before = router.rss_mib()
    command = [sys.executable, "-m", "loadtests.overhead.streams", router.url]
    with subprocess.Popen([*command, str(streams), str(chunks), str(pause_ms)], stdout=subprocess.PIPE) as client:
        if client.stdout is None or client.stdout.readline().strip() != b"open":
            raise PatchbayError(f"{streams} streams through {router.name} do not all begin.")
        grown = router.rss_mib() - before
        ended = json.loads(client.stdout.readline())
    return Crowd(streams, ended["failed"], grown)


def load(router: Running, folder: Path, *, stream: bool, seconds: int) -> tuple[int, float]:
    """Puts load on a router.

    Returns how many requests were answered, and the CPU seconds they took. Raises PatchbayError where any failed.
    """
    script = folder / f"wrk-{stream}.lua"
    body = request_bytes("x", stream=stream, chunks=CHUNKS, pause_ms=PAUSE_MS).partition(b"\r\n\r\n")[2].decode()
    lines = ['wrk.method = "POST"', f"wrk.body = [[{body}]]", 'wrk.headers["content-type"] = "application/json"']
    script.write_text("\n".join(lines))
    connections = "64" if stream else "16"
    command = ["wrk", "-t1", "-c", connections, "-d", f"{seconds}s", "--timeout", "30s", "-s", str(script)]
    before = router.cpu_s()
    output = subprocess.run(
        [*command, f"{router.url}/v1/chat/completions"], capture_output=True, text=True, check=True
    ).stdout
    taken = router.cpu_s() - before
    done = _DONE.search(output)
    if (failed := _ERRORS.search(output)) or done is None:
        raise PatchbayError(f"{router.name}: {failed[0] if failed else output}")
    return int(done[1]), taken
