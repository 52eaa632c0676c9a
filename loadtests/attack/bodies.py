"""Hostile bodies: deep, wide, odd or broken JSON, bad UTF-8, huge numbers, compression that is not there."""

from collections.abc import Iterator, Mapping

from loadtests.attack.tries import Try

_PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/v1/embeddings", "/tokenize")
_MIB = 1 << 20
_CHAT = b'{"model":"sql","max_tokens":2,"messages":[{"role":"user","content":%s}]%s}'


def bodies() -> Iterator[Try]:
    """All of them, on all endpoints."""
    for what, body in _odd().items():
        for path in _PATHS:
            yield Try("bodies", f"{what} to {path}", path, body)
    for encoding in ("gzip", "br", "deflate", "identity, gzip"):
        yield Try(
            "bodies", f"content-encoding {encoding}", _PATHS[0], b"\x1f\x8b", headers={"content-encoding": encoding}
        )
    for kind in ("text/plain", "multipart/form-data", "application/json; charset=utf-16", ""):
        yield Try("bodies", f"content-type {kind}", _PATHS[0], _CHAT % (b'"hi"', b""), headers={"content-type": kind})


def _odd() -> Mapping[str, bytes]:
    return {
        "nothing": b"",
        "null": b"null",
        "a list": b"[]",
        "a text": b'"hi"',
        "half of JSON": b'{"model": "sql"',
        "two objects": b'{"model":"sql"}{"model":"sql"}',
        "NaN": _CHAT % (b'"hi"', b',"temperature":NaN'),
        "1e400": _CHAT % (b'"hi"', b',"temperature":1e400'),
        "a number of 100,000 digits": _CHAT % (b'"hi"', b',"seed":' + b"9" * 100_000),
        "a fraction of 100,000 digits": _CHAT % (b'"hi"', b',"top_p":0.' + b"9" * 100_000),
        "bad UTF-8": _CHAT % (b'"\xff\xfe"', b""),
        "half a surrogate": _CHAT % (b'"\\ud800"', b""),
        "a NUL": _CHAT % (b'"\\u0000"', b""),
        "a byte order mark": b"\xef\xbb\xbf" + _CHAT % (b'"hi"', b""),
        "UTF-16": (_CHAT % (b'"hi"', b"")).decode().encode("utf-16"),
        "the same key twice": b'{"model":"sql","model":"json","messages":[],"messages":1}',
        "a key of 1 MiB": b'{"model":"sql","' + b"k" * _MIB + b'":1}',
        "a model of 1 MiB": b'{"model":"' + b"m" * _MIB + b'","messages":[]}',
        "100,000 keys": b'{"model":"sql",' + b",".join(b'"k%d":0' % place for place in range(100_000)) + b"}",
        "100,000 levels": b'{"model":"sql","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "900 levels": b'{"model":"sql","messages":' + b"[" * 900 + b"]" * 900 + b"}",
        "9 MiB of empty lists": b'{"model":"sql","messages":[' + b"[]," * (3 * _MIB) + b"[]]}",
        "9 MiB of zeros in a list": b'{"model":"sql","prompt":[' + b"0," * (4 * _MIB) + b"0]}",
        "100,000 messages": b'{"model":"sql","messages":['
        + b",".join([b'{"role":"user","content":"a"}'] * 100_000)
        + b"]}",
        "a text of 5 MiB": _CHAT % (b'"' + b"a " * (5 * _MIB // 2) + b'"', b""),
        "a text of 5 MiB without a space": _CHAT % (b'"' + b"a" * (5 * _MIB) + b'"', b""),
        "11 MiB": _CHAT % (b'"' + b"a" * (11 * _MIB) + b'"', b""),
        "an escape a character": _CHAT % (b'"' + b"\\u0061" * 500_000 + b'"', b""),
    }
