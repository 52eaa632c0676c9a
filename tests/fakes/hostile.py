"""Archives and registries that mean harm."""

import io
import json
import socket
import socketserver
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


def pax_bomb(digits: int = 100_000) -> bytes:
    """A tar of under 200 bytes whose pax header takes `tarfile` a time that grows by the square of its digits."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        header = tarfile.TarInfo("x")
        header.type, header.size = tarfile.XHDTYPE, digits
        tar.addfile(header, io.BytesIO(b"1" * digits))
    return buffer.getvalue()


def huge_pax_header(size: int) -> bytes:
    """A tar with a header that claims and holds `size` bytes, which `tarfile` reads whole."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as tar:
        header = tarfile.TarInfo("x")
        header.type, header.size = tarfile.XHDTYPE, size
        tar.addfile(header, _Zeros(size))
    return buffer.getvalue()


def gzip_bomb(size: int) -> bytes:
    """A tar of one file of `size` zeros."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as tar:
        info = tarfile.TarInfo("a/adapter_model.safetensors")
        info.size = size
        tar.addfile(info, _Zeros(size))
    return buffer.getvalue()


def zip_of_entries(count: int) -> bytes:
    """A zip of `count` empty files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(count):
            archive.writestr(f"a/{number}", b"")
    return buffer.getvalue()


def tar_with(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    """A tar of one member."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, link
        tar.addfile(info)
    return buffer.getvalue()


class _Zeros(io.RawIOBase):
    """So many zero bytes, of which no more than a piece is ever there."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._left = size

    def read(self, size: int = -1) -> bytes:
        count = self._left if size < 0 else min(size, self._left)
        self._left -= count
        return bytes(count)


Answer = Callable[["Asked"], None]


class Asked:
    """One request to a hostile server. `path`: what it asks for; `host`: its Host header."""

    def __init__(self, connection: socket.socket, head: str) -> None:
        self._connection = connection
        self.method, self.path = head.split(" ")[:2]
        self.host = next(line[6:] for line in head.split("\r\n") if line.lower().startswith("host: "))

    def answer(self, status: str, body: bytes = b"", **headers: str) -> None:
        """Answers, and is done."""
        named = {"content-length": str(len(body)), "connection": "close"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        self.send(f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body)

    def send(self, raw: bytes) -> None:
        """Sends bytes; a client that has gone is none of its business."""
        self._connection.sendall(raw)


class HostileServer:
    """An HTTP server on loopback that answers as it is told. `seen`: the paths that were asked for; `open`: how many
    connections are open now."""

    def __init__(self, answer: Answer) -> None:
        self.seen: list[str] = []
        self.open = 0
        self._lock = threading.Lock()
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                outer._count(1)
                with suppress(OSError):
                    head = self._head()
                    if head:
                        asked = Asked(self.request, head)
                        outer.seen.append(asked.path)
                        answer(asked)
                outer._count(-1)

            def _head(self) -> str:
                raw = b""
                while b"\r\n\r\n" not in raw:
                    block = self.request.recv(4096)
                    if not block:
                        return ""
                    raw += block
                return raw.decode("latin-1")

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def host(self) -> str:
        """Its address and port."""
        return "{}:{}".format(*self._server.server_address[:2])

    @contextmanager
    def serving(self) -> Iterator["HostileServer"]:
        """Serves for the block."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def _count(self, by: int) -> None:
        with self._lock:
            self.open += by


def dripping(asked: Asked) -> None:
    """An answer whose body comes at ten bytes a second, for as long as somebody takes it."""
    asked.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    while True:
        asked.send(b" ")
        time.sleep(0.1)


def endless_manifest(asked: Asked) -> None:
    """An answer that goes on for 600 MB, as fast as it is taken."""
    asked.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 600000000\r\n\r\n")
    for _ in range(600):
        asked.send(b'"' + b"x" * 999_999)


def manifest_of(layers: list[dict[str, object]]) -> bytes:
    """An OCI manifest."""
    return json.dumps({"schemaVersion": 2, "layers": layers}).encode()


def wait_until(condition: Callable[[], bool], timeout_s: float = 60) -> None:
    """Waits for what other threads and processes bring about. Raises AssertionError where they do not."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "what was waited for did not come"
        time.sleep(0.02)
