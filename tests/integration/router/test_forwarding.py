import asyncio
import json

import pytest

from tests.fakes.engine import FakeEngine, revision
from tests.fakes.routers import running_router, until
from tests.integration.router.wire import ask, client_of, content, error_of, post

pytestmark = pytest.mark.anyio


def engine(name: str = "replica-0") -> FakeEngine:
    return FakeEngine(name, revisions=(revision("sql", 1), revision("sql", 2)))


@pytest.mark.parametrize(
    ("model", "answers", "header"),
    [("demo-base", "demo-base", None), ("sql", "sql@2-", "sql@2"), ("sql@1", "sql@1-", "sql@1")],
)
async def test_each_name_is_answered_by_what_it_means(model: str, answers: str, header: str | None) -> None:
    async with running_router(engine()) as router:
        response = await post(router, ask(model))
    assert content(response).startswith(answers)
    assert response.headers.get("x-patchbay-adapter") == header
    assert response.headers["x-patchbay-replica"] == "replica-0"


async def test_the_body_reaches_the_replica_byte_for_byte_with_its_query_and_unknown_fields() -> None:
    body = b'{ "model":"sql","x_new": [1.50, "\\u00e9"],\n"messages":[]}'
    fake = engine()
    async with running_router(fake) as router, client_of(router) as client:
        await client.post("/v1/chat/completions?a=b%20c", content=body)
    assert fake.seen[0].body == body
    assert fake.seen[0].query == "a=b%20c"


@pytest.mark.parametrize("path", ["chat/completions", "completions", "responses", "embeddings", "score", "messages"])
async def test_every_endpoint_reaches_its_own_path(path: str) -> None:
    fake = engine()
    async with running_router(fake) as router:
        response = await post(router, path=f"/v1/{path}")
    assert response.status_code == 200
    assert fake.seen[0].path == f"/v1/{path}"


async def test_the_replica_sees_its_own_token_and_never_the_clients_key() -> None:
    fake = engine()
    async with running_router(fake, api_keys=["sk-client"]) as router:
        response = await post(router, authorization="Bearer sk-client")
    assert response.status_code == 200
    assert fake.seen[0].headers.getall("authorization") == ["Bearer replica-secret"]
    assert "sk-client" not in str(fake.seen[0].headers)


async def test_a_sane_request_id_is_kept_upstream_and_echoed_and_a_wild_one_is_replaced() -> None:
    fake = engine()
    async with running_router(fake) as router:
        kept = await post(router, ask(), **{"x-request-id": "mine-1"})
        replaced = await post(router, ask(), **{"x-request-id": "no good"})
    assert kept.headers.get_list("x-request-id") == ["mine-1"]
    assert [seen.headers["x-request-id"] for seen in fake.seen] == ["mine-1", replaced.headers["x-request-id"]]
    assert replaced.headers["x-request-id"].startswith("req-")


async def test_headers_of_the_hop_do_not_leak_and_none_is_doubled() -> None:
    async with running_router(engine()) as router:
        response = await post(router)
    assert "server" not in response.headers
    assert "transfer-encoding" not in response.headers
    names = [name for name, _ in response.headers.multi_items()]
    assert len(names) == len(set(names))


async def test_work_is_spread_over_replicas_by_what_is_in_flight() -> None:
    fakes = [engine("a"), engine("b")]
    gate = asyncio.Semaphore(0)
    for fake in fakes:
        fake.script.gate = gate
    async with running_router(*fakes) as router:
        asking = [asyncio.create_task(post(router)) for _ in range(6)]
        await until(lambda: sum(len(fake.seen) for fake in fakes) == 6)
        spread = [len(fake.seen) for fake in fakes]
        for _ in asking:
            gate.release()
        await asyncio.gather(*asking)
    assert max(spread) <= 4, "one has more than its share"


async def test_an_adapter_goes_only_to_the_replica_that_has_it() -> None:
    without, having = FakeEngine("a"), engine("b")
    async with running_router(without, having) as router:
        answers = [await post(router, ask("sql")) for _ in range(4)]
    assert {answer.headers["x-patchbay-replica"] for answer in answers} == {"b"}


async def test_a_new_revision_is_served_as_soon_as_the_replica_tells_of_it() -> None:
    fake = engine()
    async with running_router(fake) as router:
        fake.revisions = (*fake.revisions, revision("sql", 3))
        await until(lambda: "sql@3" in router.fleet.view.table)
        response = await post(router, ask("sql"))
    assert response.headers["x-patchbay-adapter"] == "sql@3"


async def test_models_lists_all_replicas_models_and_each_one_alone() -> None:
    other = FakeEngine("b", base="plain-base", plain=True, token=None)
    async with running_router(engine("a"), other) as router, client_of(router) as client:
        listed = (await client.get("/v1/models")).json()
        one = (await client.get("/v1/models/sql@1")).json()
        missing = await client.get("/v1/models/nope")
    assert [entry["id"] for entry in listed["data"]] == ["demo-base", "plain-base", "sql", "sql@1", "sql@2"]
    assert one == next(entry for entry in listed["data"] if entry["id"] == "sql@1")
    assert one["parent"] == "demo-base"
    assert error_of(missing)["code"] == "model_not_found"


async def test_a_plain_openai_server_is_fronted_without_internal_paths_or_a_token() -> None:
    fake = FakeEngine("p", base="stock-model", plain=True, token=None)
    async with running_router(fake) as router:
        response = await post(router, ask("stock-model"), authorization="Bearer sk-client")
    assert content(response).startswith("stock-model")
    assert "authorization" not in fake.seen[0].headers
    assert "x-patchbay-adapter" not in response.headers


async def test_a_plain_server_that_reports_ill_health_gets_no_work() -> None:
    fake = FakeEngine("p", plain=True, token=None)
    async with running_router(fake) as router:
        fake.health = 503
        await until(lambda: router.fleet.view.ready == 0)
        assert (await post(router)).status_code == 503


async def test_a_head_request_has_the_length_and_no_body() -> None:
    async with running_router(engine()) as router, client_of(router) as client:
        head, whole = await client.head("/v1/models"), await client.get("/v1/models")
    assert head.headers["content-length"] == whole.headers["content-length"]
    assert head.content == b""


async def test_a_large_body_passes_whole() -> None:
    fake = engine()
    async with running_router(fake) as router:
        await post(router, ask(padding="x" * 3_000_000))
    assert len(json.loads(fake.seen[0].body)["padding"]) == 3_000_000
