"""Answers that are kept, and copies that nobody is sent."""

import asyncio

import httpx
import pytest

from tests.fakes.engine import FakeEngine, Script, revision
from tests.fakes.routers import running_router, until
from tests.integration.router.wire import ask, content, post

pytestmark = pytest.mark.anyio
ROUTES = {"kept": {"model": "sql", "cache": {"ttl_s": 60}, "defaults": {"temperature": 0}}}


def engine(name: str = "replica-0", *numbers: int) -> FakeEngine:
    return FakeEngine(name, revisions=(*(revision("sql", one) for one in numbers or (1,)), revision("json")))


@pytest.mark.parametrize("stream", [False, True])
async def test_the_same_question_is_answered_from_the_cache_and_says_so(stream: bool) -> None:
    fake = engine()
    async with running_router(fake, routes=ROUTES) as router:
        first = await post(router, ask("kept", stream=stream))
        again = await post(router, ask("kept", stream=stream))
        other = await post(router, ask("kept", stream=stream, max_tokens=3))
    assert [one.headers["x-patchbay-cache"] for one in (first, again, other)] == ["miss", "hit", "miss"]
    assert again.content == first.content
    assert again.headers["content-type"].startswith("text/event-stream" if stream else "application/json")
    assert again.headers["x-patchbay-adapter"] == "sql@1"
    assert len(fake.seen) == 2


async def test_what_is_not_deterministic_or_not_whole_is_not_kept() -> None:
    fake = engine()
    async with running_router(fake, routes=ROUTES) as router:
        for _ in range(2):
            await post(router, ask("kept", temperature=0.7))
        assert len(fake.seen) == 2
        fake.script = Script(fault="error_500")
        await post(router, ask("kept"))
        fake.script = Script()
        asked = len(fake.seen)
        assert (await post(router, ask("kept"))).status_code == 200
        assert (await post(router, ask("kept", stream=True))).text.rstrip().endswith("[DONE]")
        assert len(fake.seen) == asked + 2


async def test_one_tenants_answers_are_not_anothers() -> None:
    from patchbay.router.fleet.snapshot import Target
    from patchbay.router.request.answer_cache import cache_key

    target, body = (
        Target(label="sql", engine_name="sql@1-aa", revision="sql@1", replicas=("r",), arm="stable"),
        b'{"temperature":0}',
    )
    keys = {
        cache_key("a", "completions", target, (), body),
        cache_key("b", "completions", target, (), body),
        cache_key("a", "chat_completions", target, (), body),
        cache_key("a", "completions", target, ("pii",), body),
        cache_key(
            "a",
            "completions",
            Target(label="sql", engine_name="sql@2-bb", revision="sql@2", replicas=("r",), arm="stable"),
            (),
            body,
        ),
        cache_key("a", "completions", target, (), b'{"temperature":0.0}'),
    }
    assert len(keys) == 6
    assert None not in keys
    assert cache_key("a", "completions", target, (), b'{"temperature":0,"n":2}') is None
    assert cache_key("a", "embeddings", target, (), body) is None


async def test_a_new_revision_empties_what_the_old_one_said() -> None:
    fake = engine("replica-0", 1)
    async with running_router(fake, routes=ROUTES) as router:
        await post(router, ask("kept"))
        fake.revisions = (revision("sql", 1), revision("sql", 2))
        await until(lambda: router.fleet.view.table["sql"].revision == "sql@2")
        now = await post(router, ask("kept"))
    assert now.headers["x-patchbay-cache"] == "miss"
    assert content(now).startswith("sql@2-")


async def test_with_no_replica_up_what_was_kept_is_answered_marked_and_the_rest_is_a_503() -> None:
    fake = engine()
    routes = {"kept": {"model": "sql", "cache": {"ttl_s": 0.01, "offline_s": 60}, "defaults": {"temperature": 0}}}
    async with running_router(fake, routes=routes) as router:
        first = await post(router, ask("kept"))
        fake.phase = "draining"
        await until(lambda: not router.public_app.ready)
        offline = await post(router, ask("kept"))
        unknown = await post(router, ask("kept", max_tokens=7))
    assert offline.content == first.content
    assert offline.headers["x-patchbay-cache"] == "offline"
    assert unknown.status_code == 503


async def test_a_shadow_gets_copies_whose_answers_are_kept_beside_and_never_sent() -> None:
    fake = engine()
    routes = {"main": {"model": "sql", "shadow": {"model": "json", "share": 1.0}}}
    async with running_router(fake, routes=routes) as router:
        answer = await post(router, ask("main"))
        await until(lambda: len(router.public_app.pairs) == 1)
        async with httpx.AsyncClient(base_url=router.admin_url) as admin:
            (pair,) = (await admin.get("/admin/v1/shadow")).json()["pairs"]
        metrics = (await httpx.AsyncClient().get(f"{router.admin_url}/metrics")).text
    assert content(answer).startswith("sql@1-")
    assert "json@1-" in pair["shadow_answer"]
    assert "sql@1-" in pair["answer"]
    assert (pair["route"], pair["shadow"]) == ("main", "json@1")
    assert 'patchbay_router_shadows_total{outcome="kept",route="main"} 1.0' in metrics
    assert [one.headers.get("x-patchbay-priority") for one in fake.seen] == [None, "1000"]


async def test_a_shadow_that_fails_or_has_no_room_costs_its_request_nothing() -> None:
    fake = engine()
    fake.most = 1
    routes = {
        "gone": {"model": "sql", "shadow": {"model": "never-pushed", "share": 1.0}},
        "none": {"model": "sql", "shadow": {"model": "json", "share": 1e-9}},
    }
    async with running_router(fake, routes=routes) as router:
        for name in routes:
            for _ in range(5):
                assert (await post(router, ask(name))).status_code == 200
        assert not router.public_app.pairs
    assert len(fake.seen) == 10


async def test_more_copies_are_under_way_than_there_may_be() -> None:
    fake = engine()
    fake.script, fake.scripts["json@1"] = Script(delay_s=0.2), Script(delay_s=1.0)
    routes = {"main": {"model": "sql", "shadow": {"model": "json", "share": 1.0, "most": 2}}}
    async with running_router(fake, routes=routes) as router:
        answers = await asyncio.gather(*(post(router, ask("main", user=f"caller-{who}")) for who in range(9)))
        assert {one.status_code for one in answers} == {200}
        await until(lambda: len(router.public_app.pairs) >= 2)
        metrics = (await httpx.AsyncClient().get(f"{router.admin_url}/metrics")).text
    assert 'patchbay_router_shadows_total{outcome="no_room",route="main"} 7.0' in metrics
    assert len(fake.seen) == 11
