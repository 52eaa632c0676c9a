"""Oddly framed HTTP/1.1: a message that one server reads otherwise than the next is how requests are smuggled."""

from collections.abc import Iterator

from loadtests.attack.tries import Try

_BODY = b'{"model":"sql","max_tokens":1,"messages":[{"role":"user","content":"hi"}]}'
_LINE = b"POST /v1/chat/completions HTTP/1.1\r\n"
_HOST = b"Host: a\r\n"
_JSON = b"Content-Type: application/json\r\n"
_LENGTH = b"Content-Length: %d\r\n" % len(_BODY)
_CHUNKED = b"Transfer-Encoding: chunked\r\n"
_WHOLE = _LINE + _HOST + _JSON + _LENGTH + b"\r\n" + _BODY
_IN_CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(_BODY), _BODY)
_HIDDEN = b"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n"


def framing() -> Iterator[Try]:
    """All of them, each on a connection of its own."""
    for what, sent in _odd():
        yield Try("framing", what, body=sent, door="wire")
    yield Try("framing", "a slow head", body=_WHOLE, door="wire", piece=40, pause_s=0.2)
    yield Try(
        "framing", "a slow body", body=_LINE + _HOST + _LENGTH + b"\r\n" + _BODY, door="wire", piece=20, pause_s=0.3
    )
    yield Try("framing", "a byte a write", body=_WHOLE, door="wire", piece=1)


def _odd() -> Iterator[tuple[str, bytes]]:
    head = _LINE + _HOST + _JSON
    yield "two Host headers", _LINE + _HOST + b"Host: b\r\n" + _LENGTH + b"\r\n" + _BODY
    yield "no Host header", _LINE + _LENGTH + b"\r\n" + _BODY
    yield "a length and chunks", head + _LENGTH + _CHUNKED + b"\r\n" + _IN_CHUNKS + _HIDDEN
    yield "two lengths", head + _LENGTH + b"Content-Length: 1\r\n\r\n" + _BODY
    yield "two lengths in one", head + b"Content-Length: 5, 5\r\n\r\n" + _BODY
    yield "a length with a sign", head + b"Content-Length: +%d\r\n\r\n" % len(_BODY) + _BODY
    yield "a length below zero", head + b"Content-Length: -1\r\n\r\n" + _BODY
    yield "a length of 30 digits", head + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n" + _BODY
    yield "chunks by another name", head + b"Transfer-Encoding: xchunked\r\n\r\n" + _IN_CHUNKS
    yield "chunks twice", head + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + _IN_CHUNKS
    yield "chunks, folded", head + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + _IN_CHUNKS
    yield "chunks of HTTP/1.0", head.replace(b"1.1", b"1.0") + _CHUNKED + b"\r\n" + _IN_CHUNKS
    yield "a chunk of a bad size", head + _CHUNKED + b"\r\nzz\r\nhi\r\n0\r\n\r\n"
    yield "a chunk of 2^64", head + _CHUNKED + b"\r\nffffffffffffffffff\r\nhi\r\n0\r\n\r\n"
    yield "a chunk extension of 64 KiB", head + _CHUNKED + b"\r\n1;" + b"x" * 65536 + b"\r\n{\r\n0\r\n\r\n"
    yield "trailers", head + _CHUNKED + b"\r\n" + _IN_CHUNKS[:-2] + b"X-A: b\r\n\r\n"
    yield "bare line feeds", _WHOLE.replace(b"\r\n", b"\n")
    yield "a NUL in a header", head + b"X: a\x00b\r\n" + _LENGTH + b"\r\n" + _BODY
    yield "a space before a colon", head + b"Content-Length : %d\r\n\r\n" % len(_BODY) + _BODY
    yield "a header of 1 MiB", head + b"X: " + b"a" * (1 << 20) + b"\r\n\r\n"
    yield "20,000 headers", head + b"".join(b"X-%d: a\r\n" % place for place in range(20_000)) + b"\r\n"
    yield "a path of 1 MiB", b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    yield "a whole address for a path", b"GET http://169.254.169.254/ HTTP/1.1\r\nHost: a\r\n\r\n"
    yield "dots in the path", b"GET /v1/models/../../internal/status HTTP/1.1\r\nHost: a\r\n\r\n"
    yield "the replica's own paths", b"GET /internal/status HTTP/1.1\r\nHost: a\r\n\r\n"
    yield "CONNECT", b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: a\r\n\r\n"
    yield "an upgrade", head + b"Upgrade: h2c\r\nConnection: Upgrade\r\n" + _LENGTH + b"\r\n" + _BODY
    yield "HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    yield "TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500
    yield "nothing", b"\r\n" * 1000
    yield "100 requests at once", _WHOLE.replace(b'"max_tokens":1', b'"max_tokens":1') * 100
    yield (
        "our own headers",
        head
        + b"X-Patchbay-Revision: sql@1-000000000000\r\nX-Patchbay-Priority: -5\r\n"
        + (b"X-Patchbay-Timeout-Ms: 0\r\n" + _LENGTH + b"\r\n" + _BODY),
    )
    yield "an odd deadline", head + b"X-Patchbay-Timeout-Ms: " + "²".encode() + b"\r\n" + _LENGTH + b"\r\n" + _BODY
    yield "a body that ends early", head + b"Content-Length: 5000\r\n\r\n" + _BODY
    yield "an expectation", head + b"Expect: 200-maybe\r\n" + _LENGTH + b"\r\n" + _BODY
