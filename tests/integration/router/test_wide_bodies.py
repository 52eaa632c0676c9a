"""Bodies and streams that are made of very many small things: none holds the router's event loop, nor is lost by it."""

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from patchbay.router.forward.exchange import Exchange
from patchbay.router.http.body import Head
from patchbay.router.process.app import Router
from tests.fakes.engine import FakeEngine, Script, revision
from tests.fakes.engine_words import event
from tests.fakes.routers import running_router

pytestmark = pytest.mark.anyio
MIB = 1024 * 1024
START = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
MAIL = {"mail": r"[a-z0-9]{1,20}@example\.org"}
GUARDS: dict[str, Any] = {
    "routes": {"desk": {"model": "sql", "guards": ["mails"], "defaults": {"temperature": 0}, "cache": {}}},
    "guards": {"mails": {"kind": "rules", "patterns": MAIL, "action": "mask", "on": ["input"]}},
}
# A unit, and how often: just within the bound on elements, or just within the bytes where those come first.
WIDE = {
    "lists": (b"[],", 74_000),
    "objects": (b"{},", 74_000),
    "keys": (b'{"a":1},', 49_000),
    "numbers": (b"1,", 149_000),
    "floats": (b"1.7976931348623157e308,", 149_000),
    "strings": (b'"",', 149_000),
    "messages": (b'{"role":"user","content":"a"},', 29_000),
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the rules are kept once they are compiled."""
    return tmp_path_factory.mktemp("rules")


async def exchange(router: Router, data: bytes, *, until: bytes = b"\r\n0\r\n\r\n") -> bytes:
    """What comes back for `data` up to `until`, or to the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(router.url.rpartition(":")[2]))
    try:
        writer.write(data)
        await writer.drain()
        read = b""
        async with asyncio.timeout(240):
            while until not in read and (more := await reader.read(65536)):
                read += more
        return read
    finally:
        writer.close()


def post(body: bytes, more: bytes = b"") -> bytes:
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: %d\r\n"
        % len(body)
    )
    return head + more + b"\r\n" + body


def wide(unit: bytes, count: int, model: bytes = b"desk") -> bytes:
    return b'{"model":"%b","messages":[%b1]}' % (model, unit * count)


@pytest.mark.parametrize("model", [b"desk", b"sql"])
@pytest.mark.parametrize("kind", WIDE)
async def test_a_body_within_the_bound_holds_the_loop(cache: Path, kind: str, model: bytes) -> None:
    fake = FakeEngine(revisions=(revision("sql"),))
    async with running_router(fake, guard_cache=cache, **GUARDS) as router:
        answer = await exchange(router, post(wide(*WIDE[kind], model)), until=b"nothing")
    assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400")), answer[:300]


@pytest.mark.parametrize("unit", [b"[],", b"{},", b"1,", b'"",', b'{"a":1},'])
@pytest.mark.parametrize("model", [b"desk", b"sql"])
async def test_ten_megabytes_of_elements_hold_the_loop_or_reach_a_replica(
    cache: Path, unit: bytes, model: bytes
) -> None:
    fake = FakeEngine(revisions=(revision("sql"),))
    async with running_router(fake, guard_cache=cache, **GUARDS) as router:
        answer = await exchange(router, post(wide(unit, (10 * MIB - 100) // len(unit), model)), until=b"nothing")
    assert answer.startswith(b"HTTP/1.1 413"), answer[:300]
    assert b"more than 150000 elements" in answer
    assert fake.seen == []


async def test_ten_megabytes_of_one_text_are_taken_for_elements(cache: Path) -> None:
    fake = FakeEngine(revisions=(revision("sql"),))
    text = json.dumps("a, b: [c] {d}, " * (9 * MIB // 15)).encode()
    async with running_router(fake, guard_cache=cache, **GUARDS) as router:
        body = b'{"model":"sql","messages":[{"role":"user","content":%b}]}' % text
        answer = await exchange(router, post(body), until=b"nothing")
    assert answer.startswith(b"HTTP/1.1 200"), answer[:300]
    assert len(fake.seen[0].body) == len(body)


async def test_a_body_in_a_million_chunks_holds_the_loop_or_is_put_together_wrong() -> None:
    fake = FakeEngine(revisions=(revision("sql"),))
    body = b'{"model":"sql","messages":[{"role":"user","content":"' + b"x" * 1_000_000 + b'"}]}'
    head = START + b"transfer-encoding: chunked\r\n\r\n"
    chunked = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    async with running_router(fake) as router:
        answer = await exchange(router, head + chunked, until=b"nothing")
    assert answer.startswith(b"HTTP/1.1 200"), answer[:300]
    # The model's name is the replica's own.
    assert len(fake.seen[0].body) >= len(body)
    assert b"x" * 1_000_000 in fake.seen[0].body


async def test_ten_thousand_requests_on_one_connection_hold_the_loop_or_are_not_all_answered() -> None:
    fake = FakeEngine()
    one = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"
    async with running_router(fake) as router:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(router.url.rpartition(":")[2]))
        answers = 0

        async def read() -> None:
            nonlocal answers
            while answers < 10_000 and (data := await reader.readuntil(b'{"status": "ok", "replicas_ready": 1}')):
                answers += data.count(b"HTTP/1.1 200")

        reading = asyncio.create_task(read())
        writer.write(one * 10_000)
        await writer.drain()
        async with asyncio.timeout(120):
            await reading
        writer.close()
    assert answers == 10_000


async def test_a_head_of_very_many_lines_is_read_to_its_end() -> None:
    async with running_router(FakeEngine()) as router:
        head = b"GET /healthz HTTP/1.1\r\n" + b"a:b\r\n" * 10_000 + b"\r\n"
        answer = await exchange(router, head, until=b"nothing")
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"more than 256 lines" in answer


async def test_many_events_in_one_read_of_a_guarded_stream_hold_the_loop_or_are_mixed_up(cache: Path) -> None:
    words = [f"{number} is not jane@example.org " for number in range(3000)]
    raw = b"".join(event({"content": word}, "sql") for word in words)
    fake = FakeEngine(revisions=(revision("sql"),))
    fake.script = Script(raw=[raw, event({}, "sql", finish="stop"), b"data: [DONE]\n\n"])
    rules = {**GUARDS, "guards": {"mails": {"kind": "rules", "patterns": MAIL, "action": "redact"}}}
    async with running_router(fake, guard_cache=cache, **rules) as router:
        body = json.dumps({"model": "desk", "stream": True, "messages": [{"role": "user", "content": "a"}]}).encode()
        answer = await exchange(router, post(body))
    lines = [line[6:] for line in answer.split(b"\n") if line.startswith(b"data: {")]
    said = "".join(choice["delta"].get("content", "") for line in lines for choice in json.loads(line)["choices"])
    assert said == "".join(words).replace("jane@example.org", "[MAIL]")


async def test_twenty_thousand_masks_cost_each_chunk_what_they_are_many(cache: Path) -> None:
    mails = [f"m{number}@example.org" for number in range(20_000)]
    fake = FakeEngine(revisions=(revision("sql"),))
    async with running_router(fake, guard_cache=cache, **GUARDS) as router:
        prompt = {"role": "user", "content": " ".join(mails)}
        body = json.dumps({"model": "desk", "stream": True, "messages": [prompt]}).encode()
        fake.script = Script(gate=asyncio.Semaphore(0), words=("[MAIL_", "no mask", " and ", "[", "MA", "x]"))
        asking = asyncio.create_task(exchange(router, post(body)))
        masked = json.loads((await fake.request()).body)["messages"][0]["content"].split(" ")
        assert len(set(masked)) == 20_000
        for _ in range(20):
            fake.script.gate.release()  # type: ignore[union-attr]
        answer = await asking
    assert b"DONE" in answer


async def test_a_long_body_is_read_on_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: dict[bool, int] = {}
    read = Exchange.read

    def noted(self: Exchange, body: bytes, most_elements: int) -> Head:
        threads[len(body) > 100_000] = threading.get_ident()
        return read(self, body, most_elements)

    monkeypatch.setattr(Exchange, "read", noted)
    async with running_router(FakeEngine(revisions=(revision("sql"),))) as router:
        for text in (b"x", b"x" * 200_000):
            body = b'{"model":"sql","messages":[{"role":"user","content":"%b"}]}' % text
            assert (await exchange(router, post(body), until=b"nothing")).startswith(b"HTTP/1.1 200")
    assert threads.keys() == {False, True}
    assert threads[False] == threading.get_ident() != threads[True]
