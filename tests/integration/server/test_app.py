"""A replica's HTTP application over loopback, with an engine that has no model."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from patchbay.core.settings import parse_settings
from patchbay.server.app import ServerApp
from patchbay.server.config import ServerConfig
from patchbay.server.gate import ENDPOINTS
from patchbay.server.metrics import ServerMetrics
from patchbay.server.replica import ServingReplica
from tests.fakes.adapter_folder import write_adapter, write_base
from tests.fakes.artifacts import stored
from tests.fakes.lora_engine import FakeLoraEngine

pytestmark = pytest.mark.anyio
CHAT = "/v1/chat/completions"


class Running:
    """A replica that listens, its engine, and a client that has its token."""

    def __init__(
        self, replica: ServingReplica, engine: FakeLoraEngine, client: httpx.AsyncClient, folder: Path
    ) -> None:
        self.replica = replica
        self.engine = engine
        self.client = client
        self.folder = folder

    async def ask(self, model: object, **fields: Any) -> httpx.Response:
        return await self.client.post(CHAT, json={"model": model, **fields})

    async def put(self, name: str, fill: int = 1, **body: Any) -> httpx.Response:
        described = stored(self.folder / "artifacts", write_adapter(self.folder / f"{name}-{fill}", fill=fill))
        return await self.client.put(f"/internal/adapters/{name}", json={"revision": 1, **described, **body})


@asynccontextmanager
async def running(folder: Path, *, ready: bool = True, model: str = "org/tiny") -> AsyncIterator[Running]:
    artifacts = {"url": str(folder / "artifacts")}
    data = {
        "base": {"model": model, "name": "tiny"},
        "token": "t",
        "artifacts": artifacts,
        "cache_dir": folder / "cache",
    }
    replica = ServingReplica(
        parse_settings(ServerConfig, data | {"max_body_bytes": 2048}, source="test"), ServerMetrics()
    )
    engine = FakeLoraEngine()
    if ready:
        await replica.open(engine)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(ServerApp(replica), log_level="error", lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        async with httpx.AsyncClient(base_url=url, headers={"authorization": "Bearer t"}, timeout=10) as client:
            house = Running(replica, engine, client, folder)
            for fill, name in enumerate(("sql", "label") if ready else (), 1):
                assert (await house.put(name, fill)).status_code == 200
            yield house
        engine.gate.set()
        server.should_exit = True
        await serving


async def until(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


async def test_each_name_reaches_the_revision_that_it_means(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        names = {entry.adapter: entry.engine_name for entry in house.replica.slots.entries}
        for model, expected in [("tiny", "tiny"), ("sql", names["sql"]), ("sql@1", names["sql"]), (names["sql"],) * 2]:
            answer = await house.ask(model)
            assert answer.json() == {"model": expected, "path": CHAT}
            assert answer.headers.get("x-patchbay-adapter") == (None if model == "tiny" else "sql@1")


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        (b"{", 400, None, None),
        (b"[]", 400, None, None),
        (b'{"model": 3}', 400, None, "model"),
        (b"{}", 400, None, "model"),
        (b'{"model": "nope"}', 404, "model_not_found", "model"),
        (b'{"model": "../../etc/passwd"}', 404, "model_not_found", "model"),
        (b'{"model": "/etc"}', 404, "model_not_found", "model"),
        (b'{"model": "sql", "fail": 1}', 400, None, None),
        (b"[" * 100_000, 413, "request_too_large", None),
        (b"[" * 2000, 400, None, None),
    ],
)
async def test_a_bad_request_is_told_so_in_openais_shape(
    tmp_path: Path, body: bytes, status: int, code: str | None, param: str | None
) -> None:
    async with running(tmp_path) as house:
        answer = await house.client.post(CHAT, content=body)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (status, code, param)
        assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize("path", [path for path, task in ENDPOINTS.items() if task in (None, "generate")])
@pytest.mark.parametrize("model", ["tiny", "sql"])
async def test_a_null_for_a_field_never_reaches_the_engine_which_takes_its_default(
    tmp_path: Path, path: str, model: str
) -> None:
    given = {"background": None, "truncation": None, "n": None, "tools": None, "kept": {"inner": None}, "zero": 0}
    async with running(tmp_path) as house:
        answer = await house.client.post(path, json={"model": model, **given})
        assert answer.status_code == 200
        (reached,) = house.engine.bodies
        assert {name: value for name, value in reached.items() if name != "model"} == {
            "kept": {"inner": None},
            "zero": 0,
        }


async def test_no_path_but_health_answers_without_the_token(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        for path in (CHAT, "/v1/models", "/metrics", "/internal/status", "/internal/openapi.json", "/nothing"):
            for headers in ({"authorization": ""}, {"authorization": "Bearer x"}, {"authorization": "t"}):
                answer = await house.client.get(path, headers=headers)
                assert answer.status_code == 401, path
                assert answer.json()["error"]["code"] == "invalid_api_key"
        for path in ("/healthz", "/readyz"):
            assert (await house.client.get(path, headers={"authorization": ""})).status_code == 200


async def test_vllms_own_dangerous_paths_do_not_exist(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        for path in (
            "/v1/load_lora_adapter",
            "/invocations",
            "/adapters",
            "/start_profile",
            "/v1/responses/x",
            "/ping",
        ):
            answer = await house.client.post(path, json={"model": "tiny"})
            assert answer.status_code in (404, 405), path


async def test_while_the_base_loads_health_says_so_and_requests_are_told_when_to_come_back(tmp_path: Path) -> None:
    async with running(tmp_path, ready=False) as house:
        ready = await house.client.get("/readyz")
        assert (ready.status_code, ready.json()["phase"]) == (503, "starting")
        assert (await house.client.get("/healthz")).status_code == 200
        for answer in (await house.ask("sql"), await house.client.get("/internal/status")):
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0


async def test_a_replica_whose_engine_is_dead_says_so_and_takes_nothing_more(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        assert (await house.client.get("/healthz")).status_code == 200
        house.engine.dead = "its core has gone"
        health = await house.client.get("/healthz")
        assert (health.status_code, health.json()["status"]) == (503, "dead")
        ready = await house.client.get("/readyz")
        assert (ready.status_code, ready.json()["phase"]) == (503, "draining")
        assert (await house.client.get("/internal/status")).json()["phase"] == "draining"
        assert (await house.ask("sql")).status_code == 503


async def test_an_adapter_is_put_used_and_really_removed(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        put = await house.put("style", fill=7)
        assert (put.status_code, put.json()["state"]) == (200, "resident")
        assert (await house.ask("style")).status_code == 200
        removed = await house.client.delete("/internal/adapters/style@1")
        assert removed.json() == {"removed": [put.json()["engine_name"]]}
        assert put.json()["engine_name"] not in {lora.name for lora in house.engine.loaded.values()}
        assert (await house.ask("style")).status_code == 404
        assert put.json()["digest"] not in {path.name for path in (tmp_path / "cache" / "replica-0").iterdir()}


async def test_a_number_is_never_given_to_other_bytes(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        assert (await house.put("style", fill=7)).status_code == 200
        assert (await house.put("style", fill=7)).status_code == 200
        clash = await house.put("style", fill=8)
        assert (clash.status_code, clash.json()["error"]["code"]) == (409, "conflict")
        assert (await house.ask("style")).status_code == 200


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("tiny", {}, 422),
        ("..%2Fup", {}, 404),
        ("a@1", {}, 400),
        ("x", {"digest": "../x"}, 400),
        ("x", {"revision": 0}, 400),
        ("x", {"files": []}, 400),
        ("x", {"unknown": 1}, 400),
        ("x", {"digest": "0" * 64}, 503),
        ("x", {"files": [{"name": "../../up", "sha256": "0" * 64, "size": 1}]}, 503),
    ],
)
async def test_what_cannot_be_an_adapter_is_refused(tmp_path: Path, name: str, body: Any, status: int) -> None:
    async with running(tmp_path) as house:
        described = stored(tmp_path / "artifacts", write_adapter(tmp_path / "whole"))
        answer = await house.client.put(f"/internal/adapters/{name}", json={"revision": 1, **described, **body})
        assert answer.status_code == status
        assert answer.json()["error"]["message"]
        assert not (tmp_path / "up").exists()


async def test_a_revision_that_the_gate_refuses_is_shown_as_failed_with_the_reason_until_it_is_removed(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as house:
        described = stored(tmp_path / "artifacts", write_adapter(tmp_path / "broken", r=99))
        refused = await house.client.put("/internal/adapters/broken", json={"revision": 1, **described})
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "adapter_rejected")
        shown = (await house.client.get("/internal/status")).json()["revisions"][-1]
        assert (shown["adapter"], shown["state"]) == ("broken", "failed")
        assert "99" in shown["reason"]
        assert 'adapter_refusals_total{reason="config"} 1.0' in (await house.client.get("/metrics")).text
        assert (await house.client.delete("/internal/adapters/broken")).status_code == 200
        assert len((await house.client.get("/internal/status")).json()["revisions"]) == 2


async def test_a_revision_made_for_another_base_model_is_refused_by_both_names(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base")
    async with running(tmp_path, model=str(base)) as house:
        refused = await house.put("style", fill=7, base="e" * 64)
        assert refused.status_code == 422
        assert "was made for the base model eeeeeeeeeeee" in refused.json()["error"]["message"]
        told = (await house.client.get("/internal/base")).json()
        assert told["fingerprint"] == (await house.client.get("/internal/status")).json()["base"]["fingerprint"]
        assert (await house.put("style", fill=7, base=told["fingerprint"])).status_code == 200


async def test_the_routers_word_on_the_revision_goes_before_the_bodys_and_one_that_is_not_here_is_tried_again(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as house:
        first = house.replica.slots.find("sql").engine_name
        await house.put("sql", fill=9, revision=2)
        chosen = await house.client.post(CHAT, json={"model": "sql"}, headers={"x-patchbay-revision": first})
        assert chosen.json()["model"] == first
        gone = await house.client.post(CHAT, json={"model": "sql"}, headers={"x-patchbay-revision": f"{first[:-1]}x"})
        assert (gone.status_code, gone.json()["error"]["code"]) == (503, "unavailable")


async def test_a_put_goes_on_when_its_caller_goes_away(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        house.engine.gate.clear()
        with pytest.raises(httpx.ReadTimeout):
            await house.client.put(
                "/internal/adapters/style",
                json={"revision": 1, **stored(tmp_path / "artifacts", write_adapter(tmp_path / "s", fill=5))},
                timeout=0.2,
            )
        house.engine.gate.set()
        await until(
            lambda: any(entry.state == "resident" for entry in house.replica.slots.entries if entry.adapter == "style")
        )


async def test_a_broken_adapter_is_its_own_requests_4xx(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        house.engine.broken.add("style")
        assert (await house.put("style", load=False)).json()["state"] == "declared"
        broken = await house.ask("style")
        assert (broken.status_code, broken.json()["error"]["code"]) == (422, "adapter_rejected")
        assert (await house.ask("sql")).status_code == 200


async def test_a_client_that_goes_away_frees_its_request_and_its_reference(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        house.engine.gate.clear()
        async with house.client.stream("POST", CHAT, json={"model": "sql", "stream": True}) as answer:
            assert await anext(answer.aiter_raw()) == b"data: 1\n\n"
            assert house.replica.slots.find("sql").references == 1
        await until(lambda: house.replica.slots.find("sql").references == 0)


async def test_a_request_is_ended_when_its_time_is_over(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        house.engine.gate.clear()
        late = {"x-patchbay-timeout-ms": "100"}
        with pytest.raises(httpx.RemoteProtocolError):
            await house.client.post(CHAT, json={"model": "sql", "stream": True}, headers=late)
        assert house.replica.slots.find("sql").references == 0
        assert (await house.put("style", 9, load=False)).status_code == 200
        answer = await house.client.post(CHAT, json={"model": "style"}, headers=late)
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded")


async def test_a_revision_that_the_router_means_and_is_not_here_is_told_as_missing(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        chosen = {"x-patchbay-revision": "sql@9-aaaaaaaaaaaa"}
        answer = await house.client.post(CHAT, json={"model": "sql"}, headers=chosen)
        assert (answer.status_code, answer.headers["x-patchbay-missing"]) == (503, "1")


async def test_errors_on_anthropics_endpoints_have_its_shape(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        answer = await house.client.post("/v1/messages", json={"model": "nope"})
        assert answer.status_code == 404
        assert answer.json()["error"]["type"] == "not_found_error"


async def test_draining_finishes_streams_and_takes_no_new_requests(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        house.engine.gate.clear()
        async with house.client.stream("POST", CHAT, json={"model": "sql", "stream": True}) as answer:
            chunks = answer.aiter_raw()
            await anext(chunks)
            assert (await house.client.post("/internal/drain")).json() == {"phase": "draining", "in_flight": 1}
            assert (await house.client.get("/readyz")).status_code == 503
            assert (await house.ask("sql")).status_code == 503
            house.engine.gate.set()
            assert await anext(chunks) == b"data: [DONE]\n\n"
        assert house.replica.in_flight == 0


async def test_models_are_base_adapters_and_revisions(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        models = (await house.client.get("/v1/models")).json()["data"]
        assert [card["id"] for card in models] == ["tiny", "label", "label@1", "sql", "sql@1"]
        assert (await house.client.get("/v1/models/sql")).json()["parent"] == "tiny"
        assert (await house.client.get("/v1/models/none")).json()["error"]["code"] == "model_not_found"


async def test_metrics_count_by_outcome_and_hold_no_name_of_a_clients_making(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        await house.ask("sql")
        await house.ask("made-up-by-a-client")
        text = (await house.client.get("/metrics")).text
        assert f'patchbay_server_requests_total{{endpoint="{CHAT}",outcome="ok"}} 1.0' in text
        assert f'patchbay_server_requests_total{{endpoint="{CHAT}",outcome="client_error"}} 1.0' in text
        assert 'patchbay_server_adapters{tier="slot"} 2.0' in text
        assert "made-up" not in text
        assert "lora_requests_info" not in text


async def test_what_the_base_cannot_do_is_said_and_not_a_404(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        answer = await house.client.post("/v1/embeddings", json={"model": "sql", "input": "x"})
        assert (answer.status_code, answer.json()["error"]["message"]) == (400, "The base model 'tiny' cannot embed.")
        wrong = await house.client.get(CHAT)
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "fields",
    [{"priority": -(2**63)}, {"kv_transfer_params": {"do_remote_prefill": True}}, {"n": 16384}, {"seed": 2**70}],
)
async def test_a_field_that_would_harm_other_requests_never_reaches_the_engine(
    tmp_path: Path, fields: dict[str, Any]
) -> None:
    async with running(tmp_path) as server:
        answer = await server.ask("tiny", **fields)
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] in fields


MESSAGE = {"model": "tiny", "max_tokens": 2000, "messages": [{"role": "user", "content": "a"}]}


async def test_a_model_that_cannot_think_answers_all_the_same_and_says_what_it_left_out(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        thinking = {"type": "enabled", "budget_tokens": 1024}
        answer = await house.client.post("/v1/messages", json={**MESSAGE, "thinking": thinking})
        assert (answer.status_code, answer.headers["x-patchbay-ignored"]) == (200, "thinking")
        assert "thinking" not in house.engine.bodies[-1]
        plain = await house.client.post("/v1/messages", json={**MESSAGE, "thinking": {"type": "disabled"}})
        assert "x-patchbay-ignored" not in plain.headers
        assert house.engine.bodies[-1]["thinking"] == {"type": "disabled"}


async def test_a_budget_for_thinking_is_refused_in_words_for_the_client_where_nothing_thinks(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        error = (await house.ask("tiny", thinking_token_budget=5)).json()["error"]
    assert (error["param"], error["type"]) == ("thinking_token_budget", "invalid_request_error")
    assert "--reasoning" not in error["message"]
