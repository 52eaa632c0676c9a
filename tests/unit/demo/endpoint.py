"""A real HTTP server on loopback that answers chat completions from a plain function."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, bytes]
Answer = Callable[[dict[str, Any]], Reply]


def said(text: str | None) -> Reply:
    """A chat completion with this text."""
    return 200, json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


@dataclass
class Seen:
    """What the server was asked, and how much of it at once."""

    url: str
    bodies: list[dict[str, Any]] = field(default_factory=list)
    paths: set[str] = field(default_factory=set)
    keys: set[str | None] = field(default_factory=set)
    now: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, path: str, key: str | None, body: dict[str, Any]) -> None:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.paths.add(path)
            self.keys.add(key)
            self.bodies.append(body)

    def leave(self) -> None:
        with self.lock:
            self.now -= 1


class Server(ThreadingHTTPServer):
    """With room for as many clients at once as the tests have."""

    request_queue_size = 64


@contextmanager
def serving(answer: Answer) -> Iterator[Seen]:
    """Serve until the block ends."""
    seen = Seen("")

    class Endpoint(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            seen.enter(self.path, self.headers["authorization"], body)
            status, content = answer(body)
            seen.leave()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Keep the tests' output clean."""

    server = Server(("127.0.0.1", 0), Endpoint)
    seen.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
