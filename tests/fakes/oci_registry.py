"""A real OCI registry, Debian's docker-registry, on loopback, its blobs in a temporary folder."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

NO_REGISTRY = "docker-registry is not installed (Debian: apt-get install docker-registry), so it is not tested here"
_CONFIG = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}/blobs}}}}
http: {{addr: 127.0.0.1:{port}}}
"""


def registry_program() -> str | None:
    """The registry's program, or None."""
    return shutil.which("docker-registry") or shutil.which("registry")


@contextmanager
def running_registry(folder: Path) -> Iterator[str]:
    """The registry's host and port."""
    program = registry_program()
    assert program is not None, NO_REGISTRY
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    config = folder / "registry.yml"
    config.write_text(_CONFIG.format(folder=folder, port=port))
    server = subprocess.Popen([program, "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(f"http://127.0.0.1:{port}/v2/", server)
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(100):
        assert server.poll() is None, "docker-registry ended at once"
        try:
            httpx.get(url)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("docker-registry did not come up")
