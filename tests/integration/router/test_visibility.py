"""Answers, headers and lists tell a key of nothing that it does not open."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from patchbay.registry.records import Scope
from tests.fakes.engine import FakeEngine, revision
from tests.fakes.installation import Installation, registry_settings
from tests.fakes.redis import NO_REDIS, has_redis, running_redis
from tests.fakes.routers import running_router, until
from tests.integration.router.test_tenants import key_of
from tests.integration.router.wire import CHAT, ask, client_of, error_of, post

pytestmark = pytest.mark.anyio
SECRET = "acquisition"
ROUTES: dict[str, Any] = {
    "help": {"model": "sql", "fallbacks": [SECRET, "json"]},
    "open": {"model": "demo-base"},
    SECRET: {"model": "demo-base", "tenants": ["board"]},
}
AUTO = {"rules": [{"pattern": "merger", "route": SECRET}], "general": "open"}


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with Installation.at(tmp_path) as made:
        yield made


def engine(*adapters: str) -> FakeEngine:
    return FakeEngine(revisions=tuple(revision(one) for one in adapters or ("sql", "json")))


def controlled(folder: Path, *engines: FakeEngine, **settings: Any) -> Any:
    return running_router(*engines, registry=registry_settings(folder), registry_poll_s=0.1, **settings)


async def test_a_vote_reaches_the_answers_of_its_own_tenant_only(tmp_path: Path, installation: Installation) -> None:
    mine, _ = key_of(installation.registry, "acme")
    theirs, _ = key_of(installation.registry, "globex")
    async with controlled(tmp_path, engine()) as router:
        given = {"authorization": f"Bearer {mine}", "x-request-id": "the-same"}
        assert (await post(router, ask("demo-base"), **given)).status_code == 200
        vote = {"completion_id": "chatcmpl-the-same", "vote": "down"}
        other = await post(router, vote, "/v1/feedback", authorization=f"Bearer {theirs}")
        own = await post(router, vote, "/v1/feedback", authorization=f"Bearer {mine}")
    assert (other.status_code, own.status_code) == (404, 200)


async def test_another_tenants_request_of_the_same_id_takes_no_answer_away(
    tmp_path: Path, installation: Installation
) -> None:
    mine, _ = key_of(installation.registry, "acme")
    theirs, _ = key_of(installation.registry, "globex")
    plain = FakeEngine("plain", base="other", plain=True)
    async with controlled(tmp_path, engine(), plain) as router:
        for key, model in ((mine, "other"), (theirs, "demo-base")):
            await post(router, ask(model), **{"authorization": f"Bearer {key}", "x-request-id": "the-same"})
        vote = {"completion_id": "the-same", "vote": "up"}
        told = await post(router, vote, "/v1/feedback", authorization=f"Bearer {mine}")
    assert told.json()["model"] == "other"


async def test_auto_knows_only_of_routes_that_the_key_opens(tmp_path: Path, installation: Installation) -> None:
    key, _ = key_of(installation.registry, "acme")
    insider, _ = key_of(installation.registry, "board")
    said = {"model": "auto", "messages": [{"role": "user", "content": "what of the merger"}]}
    async with controlled(tmp_path, engine(), routes=ROUTES, auto=AUTO) as router:
        explain = {"x-patchbay-explain": "1"}
        outside = await post(router, said, authorization=f"Bearer {key}", **explain)
        inside = await post(router, said, authorization=f"Bearer {insider}", **explain)
    assert outside.status_code == inside.status_code == 200
    assert outside.headers["x-patchbay-route"] == "open"
    assert inside.headers["x-patchbay-route"] == SECRET
    assert SECRET not in str(outside.headers)


async def test_an_explanation_names_no_examples_of_routes_that_the_key_does_not_open(
    tmp_path: Path, installation: Installation
) -> None:
    key, _ = key_of(installation.registry, "acme")
    texts = {SECRET: "what does the merger of {} cost", "help": "how do I write a query of {}"}
    examples = {route: [text.format(letter) for letter in "abcdefgh"] for route, text in texts.items()}
    async with controlled(tmp_path, engine(), routes=ROUTES, auto={"general": "open", "examples": examples}) as router:
        said = {"model": "auto", "messages": [{"role": "user", "content": "what of the merger"}]}
        shown = {"authorization": f"Bearer {key}", "x-patchbay-explain": "1"}
        answer = await post(router, said, **shown)
    assert answer.status_code == 200, answer.text
    assert "help" in answer.headers["x-patchbay-explain"]
    assert SECRET not in str(answer.headers)


async def test_a_guard_that_reroutes_names_no_route_that_the_key_does_not_open(
    tmp_path: Path, installation: Installation
) -> None:
    key, _ = key_of(installation.registry, "acme")
    guards = {"words": {"kind": "rules", "words": ["merger"], "action": "route", "route": SECRET, "on": ["input"]}}
    routes = {**ROUTES, "help": {"model": "sql", "guards": ["words"]}}
    said = {"model": "help", "messages": [{"role": "user", "content": "what of the merger"}]}
    async with controlled(tmp_path, engine(), routes=routes, guards=guards) as router:
        answer = await post(router, said, authorization=f"Bearer {key}")
    assert (answer.status_code, answer.headers["x-patchbay-rerouted"]) == (404, "words")
    assert SECRET not in f"{answer.headers} {answer.text}"


async def test_auto_is_not_there_for_a_key_that_opens_no_general_route(
    tmp_path: Path, installation: Installation
) -> None:
    key, _ = key_of(installation.registry, scope=Scope(routes=("help",)))
    async with controlled(tmp_path, engine(), routes=ROUTES, auto=AUTO) as router:
        shown = {"authorization": f"Bearer {key}"}
        refused = [await post(router, ask(model), **shown) for model in ("auto", "nil")]
        async with client_of(router, **shown) as client:
            listed = [one["id"] for one in (await client.get("/v1/models")).json()["data"]]
    messages = [error_of(one)["message"].replace("auto", "nil") for one in refused]
    assert [one.status_code for one in refused] == [404, 404]
    assert messages[0] == messages[1]
    assert "auto" not in listed


async def test_a_fallback_that_the_key_does_not_open_is_neither_asked_nor_told_of(
    tmp_path: Path, installation: Installation
) -> None:
    key, _ = key_of(installation.registry, scope=Scope(routes=("help",)))
    async with controlled(tmp_path, engine("json"), routes=ROUTES) as router:
        answer = await post(router, ask("help"), authorization=f"Bearer {key}")
    told = f"{answer.headers} {answer.text}"
    assert answer.status_code in (404, 503)
    assert SECRET not in told
    assert "json" not in json.dumps(answer.json())


async def test_the_list_of_models_tells_no_place_on_a_servers_disk() -> None:
    fake = engine()
    fake.source = "/srv/models/base-int4"
    async with running_router(fake) as router, client_of(router) as client:
        roots = {one["id"]: one["root"] for one in (await client.get("/v1/models")).json()["data"]}
    assert roots["demo-base"] == "demo-base"
    assert roots["sql@1"] == "sql@1"


async def test_a_request_id_that_comes_again_does_not_pass_a_limit_of_requests_at_a_time(
    tmp_path: Path, installation: Installation
) -> None:
    if not has_redis():
        pytest.skip(NO_REDIS)
    fake = engine()
    fake.script.gate = asyncio.Semaphore(0)
    key, _ = key_of(installation.registry, concurrent=2)
    with running_redis() as server:
        counters = {"redis": server.url, "timeout_s": 5}
        async with controlled(tmp_path, fake, counters=counters) as router:
            shown = {"authorization": f"Bearer {key}", "x-request-id": "the-same"}
            async with client_of(router, **shown) as client:
                tasks = [asyncio.create_task(client.post(CHAT, json=ask())) for _ in range(2)]
                await until(lambda: len(fake.seen) == 2)
                third = await client.post(CHAT, json=ask())
                for _ in tasks:
                    fake.script.gate.release()
                await asyncio.gather(*tasks)
    assert third.status_code == 429
