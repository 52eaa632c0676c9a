"""Heads that HTTP/1.1 does not allow, over a real router."""

import socket
from collections.abc import Iterator

import pytest

from patchbay.router.process.app import Router
from tests.fakes.engine import FakeEngine
from tests.fakes.routers import threaded_router


@pytest.fixture(scope="module")
def router() -> Iterator[Router]:
    with threaded_router(FakeEngine()) as made:
        yield made


def status(router: Router, head: bytes, body: bytes = b"") -> bytes:
    with socket.create_connection(("127.0.0.1", int(router.url.rpartition(":")[2])), timeout=20) as connection:
        connection.sendall(head + b"\r\n\r\n" + body)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    return answer[9:12]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"GET /healthz HTTP/1.1\r\nhost: a", b"200"),
        (b"GET /healthz HTTP/1.1\r\nhost: ", b"200"),
        (b"GET /healthz HTTP/1.0", b"200"),
        (b"GET /healthz HTTP/1.1", b"400"),
        (b"GET /healthz HTTP/1.1\r\nhost: a\r\nhost: b", b"400"),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nhoST: a", b"400"),
        (b"GET /healthz HTTP/1.0\r\nhost: a\r\nhost: a", b"400"),
    ],
)
def test_a_request_says_once_whom_it_is_for(router: Router, head: bytes, expected: bytes) -> None:
    assert status(router, head) == expected


@pytest.mark.parametrize(
    ("coding", "expected"),
    [(b"gzip, chunked", b"501"), (b"gzip", b"501"), (b"Chunked", b"400"), (b"chunked", b"400")],
)
def test_a_body_that_is_coded_otherwise_is_not_taken_for_a_plain_one(
    router: Router, coding: bytes, expected: bytes
) -> None:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: " + coding
    assert status(router, head, b"2\r\n{}\r\n0\r\n\r\n") == expected
