"""Bodies that say a name twice, of which readers of JSON take the first or the last: what a router has read is what
goes on, wherever it holds a request to something."""

import json
from typing import Any

import httpx
import pytest

from tests.fakes.engine import FakeEngine, revision
from tests.fakes.routers import running_router

pytestmark = pytest.mark.anyio
RULES = {"pii": {"kind": "rules", "sets": ["pii"], "action": "block"}}
GUARDED: dict[str, Any] = {"guards": RULES, "guard_all": ["pii"]}
LIMITED: dict[str, Any] = {"tiers": {"default": {"limits": {"tokens_per_day": 10_000_000}}}}
ROUTE: dict[str, Any] = {"routes": {"own": {"model": "sql", "limits": {"max_tokens": 5}}}}
MESSAGES = b'"messages": [{"role": "user", "content": "hi"}]'
TWICE = {
    "messages": b'"messages": [{"role": "user", "content": "I am jane@example.org"}], ' + MESSAGES,
    "a message's text": b'"messages": [{"role": "user", "content": "I am jane@example.org", "content": "hi"}]',
    "a size": b'"max_tokens": 100000, "max_tokens": 3, ' + MESSAGES,
    "a size in escapes": rb'"max_tok\u0065ns": 100000, "max_tokens": 3, ' + MESSAGES,
}


def names_twice(body: bytes) -> list[str]:
    """Names that an object in `body` says more than once."""
    found: list[str] = []

    def pairs(given: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in given]
        found.extend(name for name in set(names) if names.count(name) > 1)
        return dict(given)

    json.loads(body, object_pairs_hook=pairs)
    return found


async def sent_on(body: bytes, **settings: Any) -> bytes:
    """The body that the replica got for `body`."""
    engine = FakeEngine(revisions=(revision("sql"), revision("json")))
    async with running_router(engine, **settings) as router, httpx.AsyncClient(base_url=router.url) as client:
        answer = await client.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 200, answer.text
        return next(one.body for one in engine.seen if one.path == "/v1/chat/completions")


@pytest.mark.parametrize("twice", sorted(TWICE))
@pytest.mark.parametrize(
    ("model", "held_by"), [("sql", GUARDED), ("sql", LIMITED), ("own", ROUTE), ("demo-base", GUARDED)]
)
async def test_another_reader_finds_what_guards_and_limits_have_not(
    twice: str, model: str, held_by: dict[str, Any]
) -> None:
    body = b'{"model": "%b", %b}' % (model.encode(), TWICE[twice])
    assert names_twice(body)
    sent = await sent_on(body, **held_by)
    assert names_twice(sent) == []
    assert b"jane" not in sent
    assert b"100000" not in sent


@pytest.mark.parametrize("name", [b'"model"', rb'"m\u006fdel"', rb'"\u006D\u006F\u0064\u0065\u006c"'])
async def test_another_reader_finds_a_model_that_the_key_was_not_held_to(name: bytes) -> None:
    sent = await sent_on(b'{%b: "json", "model": "sql", %b}' % (name, MESSAGES))
    assert names_twice(sent) == []
    assert json.loads(sent)["model"] == "sql"


async def test_a_body_that_says_all_once_and_is_held_to_nothing_is_another_on_its_way() -> None:
    body = rb'{ "model" :"sql",  "unread": 1.10, "text": "\u00e4 \"model\"", ' + MESSAGES + b"}"
    assert await sent_on(body) == body
