"""JSON that is wrong where nobody looks first, and the way to send it as it is."""

import http.client

# Values that JSON readers take in different ways, or not at all.
ODD = {
    "bad UTF-8": b'"\xff\xfe"',
    "cut UTF-8": b'"\xe2\x82"',
    "a surrogate as UTF-8": b'"\xed\xa0\x80"',
    "half a pair": rb'"\ud800"',
    "the other half": rb'"\udc00 x"',
    "pairs the wrong way": rb'"\udc00\ud800"',
    "too large a number": b"1e999",
    "too small a number": b"-1e999",
    "5000 digits": b"9" * 5000,
    "5000 places": b"0." + b"9" * 5000,
    "more than 64 bits": b"123456789012345678901234567890",
    "NaN": b"NaN",
    "Infinity": b"-Infinity",
    "deep": b"[" * 900 + b"]" * 900,
    "deeper": b"[" * 5000 + b"]" * 5000,
    "deep objects": b'{"a":' * 600 + b"1" + b"}" * 600,
    "never closed": b"[" * 5000,
    "twice": b'{"a": 1, "a": [2]}',
    "a control character": b'"a\x00b"',
    "a comment": b"/* */ 1",
    "a trailing comma": b"[1,]",
    "nothing": b"",
    "an escape": rb'"\x41"',
    "null": b"null",
    "a list": b"[]",
    "an object": b"{}",
    "true": b"true",
    "a text": b'"x"',
}
# Places of such a value: a field's own, or somewhere in it.
NESTED = (b"%b", b'[{"role": "user", "content": %b}]', b'[{"role": %b}]', b'{"a": %b}', b"[%b]", b'{"schema": %b}')


def post(url: str, path: str, body: bytes, *headers: tuple[str, str]) -> tuple[int, bytes]:
    """The status and the body of what is answered."""
    connection = http.client.HTTPConnection("127.0.0.1", int(url.rpartition(":")[2]), timeout=20)
    try:
        connection.request("POST", path, body, {"content-type": "application/json", **dict(headers)})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
