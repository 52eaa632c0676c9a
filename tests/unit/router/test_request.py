"""A request's body, as its parts come in."""

import asyncio

import pytest

from patchbay.core.errors import BodyTooLarge, InvalidRequest
from patchbay.router.http.body_budget import BodyBudget
from patchbay.router.http.request import Request

pytestmark = pytest.mark.anyio


def request(*parts: bytes, length: int | None = None, end: bool = True) -> tuple[Request, list[bytes]]:
    """A request whose body may hold 10 bytes, and what was written to its client meanwhile."""
    written: list[bytes] = []
    made = Request(10, written.append, BodyBudget(1000))
    if length is not None:
        made.headers.append((b"content-length", b"%d" % length))
    for part in parts:
        made.feed(part)
    if end:
        made.end()
    return made, written


async def test_a_body_in_parts_is_put_together_in_order() -> None:
    assert await request(b"ab", b"cd")[0].body(5) == b"abcd"


async def test_a_body_that_comes_later_is_waited_for() -> None:
    made, _ = request(b"ab", end=False)
    waiting = asyncio.create_task(made.body(5))
    await asyncio.sleep(0)
    made.feed(b"cd")
    made.end()
    assert await waiting == b"abcd"


async def test_a_body_of_just_the_limit_is_taken() -> None:
    assert await request(b"12345", b"67890")[0].body(5) == b"1234567890"


async def test_an_oversized_body_is_refused_as_soon_as_it_is_one() -> None:
    made, _ = request(b"123456", end=False)
    waiting = asyncio.create_task(made.body(5))
    await asyncio.sleep(0)
    made.feed(b"123456")
    with pytest.raises(BodyTooLarge):
        await waiting


async def test_a_body_that_is_announced_too_large_is_not_asked_for() -> None:
    made, written = request(length=11, end=False)
    made.awaits_continue = True
    with pytest.raises(BodyTooLarge):
        await made.body(5)
    assert written == []


async def test_a_client_that_waits_to_be_asked_is_asked_once() -> None:
    made, written = request(end=False)
    made.awaits_continue = True
    waiting = asyncio.create_task(made.body(5))
    await asyncio.sleep(0)
    made.end()
    await waiting
    assert written == [b"HTTP/1.1 100 Continue\r\n\r\n"]


async def test_a_body_that_never_ends_is_given_up() -> None:
    with pytest.raises(InvalidRequest, match="did not arrive"):
        await request(b"a", end=False)[0].body(0.01)


@pytest.mark.parametrize(
    ("url", "path", "query"),
    [
        (b"/v1/models", "/v1/models", b""),
        (b"/v1/models/a%2Fb?x=%20", "/v1/models/a/b", b"x=%20"),
        (b"/v1/models/%C3%A9?", "/v1/models/\u00e9", b""),
    ],
)
async def test_a_path_is_decoded_and_a_query_is_not(url: bytes, path: str, query: bytes) -> None:
    made, _ = request()
    made.set_url(url)
    assert (made.path, made.query) == (path, query)
