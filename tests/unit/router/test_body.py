import anyio
import pytest

from adapters.asgi import Headers, Message
from adapters.errors import BodyTooLarge, InvalidRequest
from router.body import Head, parse_head, read_body
from router.connection import ClientGone


def test_model_and_stream_are_read_and_the_rest_is_left_alone() -> None:
    assert parse_head(b'{"messages": [{"x": 1}], "model": "sql", "stream": true}') == Head("sql", stream=True)


@pytest.mark.parametrize("body", [b'{"model":"a"}', b'{"model":"a","stream":null}', b' \n{"model":"a"}\t'])
def test_stream_may_be_left_out_or_null(body: bytes) -> None:
    assert not parse_head(body).stream


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"model": "a"} x',
        b'{"model": "a", "temperature": NaN}',
        b"\xef\xbb\xbf{}",
        b'{"model": "\xff"}',
        b'{"model": "\\ud800"}',
        b'{"model": "a", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_what_is_no_json_is_the_clients_error(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_head(body)
    assert caught.value.param is None


@pytest.mark.parametrize("body", [b"[]", b"null", b'"model"', b"7"])
def test_json_that_is_no_object_is_refused_as_such(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match="must be a JSON object"):
        parse_head(body)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{}", "model"),
        (b'{"model": null}', "model"),
        (b'{"model": ["a"]}', "model"),
        (b'{"model": "a", "stream": "yes"}', "stream"),
        (b'{"model": "a", "stream": 1}', "stream"),
    ],
)
def test_a_wrong_field_is_named(body: bytes, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_head(body)
    assert caught.value.param == param


class Client:
    """Sends `parts` one by one and counts how many were asked for; then it says nothing more, or leaves."""

    def __init__(self, *parts: bytes, leaves: bool = False) -> None:
        self.parts = list(parts)
        self.leaves = leaves
        self.asked = 0

    async def receive(self) -> Message:
        self.asked += 1
        if self.parts:
            part = self.parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(self.parts) or self.leaves}
        if not self.leaves:
            await anyio.sleep_forever()
        return {"type": "http.disconnect"}


async def read(client: Client, headers: Headers | None = None, timeout_s: float = 5) -> bytes:
    return await read_body(client.receive, headers or [], limit_bytes=10, timeout_s=timeout_s)


@pytest.mark.anyio
async def test_a_body_in_parts_is_put_together_in_order() -> None:
    assert await read(Client(b"ab", b"", b"cd")) == b"abcd"


@pytest.mark.anyio
async def test_a_body_of_just_the_limit_is_taken() -> None:
    assert await read(Client(b"12345", b"67890")) == b"1234567890"


@pytest.mark.anyio
async def test_an_oversized_body_is_read_no_further_than_the_limit() -> None:
    client = Client(b"123456", b"123456", b"123456", b"123456")
    with pytest.raises(BodyTooLarge):
        await read(client)
    assert client.asked == 2


@pytest.mark.anyio
async def test_a_body_that_is_announced_too_large_is_not_read_at_all() -> None:
    client = Client(b"x")
    with pytest.raises(BodyTooLarge):
        await read(client, [(b"content-length", b"11")])
    assert client.asked == 0


@pytest.mark.anyio
async def test_a_client_that_leaves_amid_its_body_is_no_error_of_its_request() -> None:
    with pytest.raises(ClientGone):
        await read(Client(b"x", leaves=True))


@pytest.mark.anyio
async def test_a_body_that_never_ends_is_given_up() -> None:
    client = Client()
    with pytest.raises(InvalidRequest, match="did not arrive"):
        await read(client, timeout_s=0.01)
