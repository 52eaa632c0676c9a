"""Ten thousand requests that are not as they should be: each is refused in the API's own shape, none is a fault of the
router, and none is taken for two."""

import http.client
import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patchbay.router.process.app import Router
from tests.fakes.engine import FakeEngine, revision
from tests.fakes.routers import threaded_router

ENDPOINTS = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/feedback",
    "/tokenize",
)
STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
quick = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
names = st.sampled_from(["demo-base", "sql", "sql@1", "sql@9", "nope", "../etc", ""]) | json_values
fields = st.fixed_dictionaries(
    {},
    optional={
        "model": names,
        "messages": json_values,
        "prompt": st.text(max_size=20) | st.lists(st.integers(), max_size=5) | json_values,
        "input": json_values,
        "system": json_values,
        "stream": st.booleans() | json_values,
        "completion_id": json_values,
        "vote": json_values,
    },
)
# What a head is made of, wrong in every way that has been used to smuggle requests.
lines = st.sampled_from(
    [
        b"content-length: 5",
        b"content-length: +5",
        b"content-length: 0x5",
        b"content-length: 5, 5",
        b"content-length : 5",
        b"content-length: 99999999999999999999",
        b"transfer-encoding: chunked",
        b"transfer-encoding: xchunked",
        b"transfer-encoding: chunked, identity",
        b"transfer-encoding:\tchunked",
        b"transfer-encoding\x00: chunked",
        b" folded: line",
        b"x\rtransfer-encoding: chunked",
        b"expect: 100-continue",
        b"connection: close, content-length",
        b"connection: upgrade\r\nupgrade: h2c",
        b"host: a\r\nhost: b",
        b"x-patchbay-revision: sql@9-000000000000",
        b"x-patchbay-timeout-ms: 1",
        b"traceparent: 00-00000000000000000000000000000000-0000000000000000-ff",
        b": empty",
        b"\xff\xfe: \xff",
    ]
)
starts = st.sampled_from(
    [
        b"POST /v1/chat/completions HTTP/1.1",
        b"POST /v1/chat/completions HTTP/1.0",
        b"POST  /v1/chat/completions HTTP/1.1",
        b"POST /v1/chat/completions HTTP/2.0",
        b"POST http://x/v1/chat/completions HTTP/1.1",
        b"POST /v1/%00%0d%0a HTTP/1.1",
        b"GET /v1/models/%2e%2e%2f HTTP/1.1",
        b"GET /v1/models HTTP/1.1",
        b"HEAD /healthz HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"OPTIONS * HTTP/1.1",
        b"G\x80T / HTTP/1.1",
    ]
)
bodies = st.sampled_from(
    [
        b"",
        b"hello",
        b"5\r\nhello\r\n0\r\n\r\n",
        b"5;x=" + b"y" * 50 + b"\r\nhello\r\n0\r\n\r\n",
        b"0\r\nx: y\r\n\r\n",
        b"-1\r\n",
    ]
) | st.binary(max_size=40)


@pytest.fixture(scope="module")
def fake() -> FakeEngine:
    return FakeEngine(revisions=(revision("sql"),))


@pytest.fixture(scope="module")
def router(fake: FakeEngine) -> Iterator[Router]:
    with threaded_router(fake, tokenizer_endpoints=True, max_body_bytes=4096, body_timeout_s=1) as made:
        yield made
        assert "patchbay_router_faults_total{" not in made.metrics.render().decode()
        assert made.public_app.in_flight == 0


def exchange(router: Router, data: bytes) -> bytes:
    """All that comes back for `data`, sent by a client that then only reads."""
    with socket.create_connection(("127.0.0.1", int(router.url.rpartition(":")[2])), timeout=10) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))
        except ConnectionError:
            return b""


def check(answer: bytes) -> None:
    assert not answer or STATUS.match(answer), answer[:200]
    # 501: a transfer coding that nobody here reads.
    assert not [status for status in STATUS.findall(answer) if status[:1] == b"5" and status != b"501"], answer[:300]


@settings(quick, max_examples=4000)
@given(st.sampled_from(ENDPOINTS), fields | json_values)
def test_any_json_is_answered_or_refused_in_the_apis_shape(router: Router, path: str, body: Any) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", int(router.url.rpartition(":")[2]), timeout=10)
    connection.request("POST", path, json.dumps(body).encode(), {"content-type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    assert answer.status in (200, 400, 404, 413)
    if answer.status != 200:
        error = json.loads(text)["error"]
        assert error["message"]
        assert error["type"] in ("invalid_request_error", "not_found_error")


@settings(quick, max_examples=3000)
@given(starts, st.lists(lines, max_size=5), bodies)
def test_any_head_is_answered_or_refused_and_never_taken_for_two_requests(
    router: Router, start: bytes, given_lines: list[bytes], body: bytes
) -> None:
    # A second request hides in the body. Whoever reads the first one's length in two ways would answer it.
    hidden = b"GET /v1/models/hidden HTTP/1.1\r\nhost: localhost\r\n\r\n"
    head = b"\r\n".join([start, b"host: localhost", *given_lines, b"content-length: %d" % len(body + hidden)])
    answer = exchange(router, head + b"\r\n\r\n" + body + hidden)
    check(answer)
    if not any(line.lstrip().lower().startswith((b"content-length", b"transfer-encoding")) for line in given_lines):
        assert b"'hidden'" not in answer, "a body was read as a request"


@settings(quick, max_examples=3000)
@given(st.data())
def test_a_request_with_any_bytes_changed_is_answered_or_refused(router: Router, data: st.DataObject) -> None:
    body = b'{"model":"demo-base","messages":[{"role":"user","content":"hi"}],"stream":true}'
    sound = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    wire = bytearray(sound + b"content-length: %d\r\n\r\n" % len(body) + body)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(wire) - 1))
        wire[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    check(exchange(router, bytes(wire)))
