import httpx
import pytest

from tests.fakes.engine import FakeEngine, revision
from tests.fakes.routers import running_router, until
from tests.integration.router.wire import ask, error_of, post, until_refused

JSON = {"content-type": "application/json"}
pytestmark = pytest.mark.anyio


async def test_the_replicas_are_shown_as_they_are_seen() -> None:
    fakes = FakeEngine("a", revisions=(revision("sql", 1, "failed"),)), FakeEngine("b", plain=True, token=None)
    fakes[0].running = 3
    async with running_router(*fakes) as router, httpx.AsyncClient(base_url=router.admin_url) as admin:
        first, second = (await admin.get("/admin/v1/replicas")).json()["replicas"]
    assert (first["name"], first["kind"], first["state"], first["load"]) == ("a", "patchbay", "ready", 3)
    assert first["revisions"][0]["name"] == "sql@1"
    assert first["revisions"][0]["state"] == "failed"
    assert (second["kind"], second["models"]) == ("openai", ["demo-base"])


async def test_metrics_count_what_happened_and_carry_no_clients_text() -> None:
    async with running_router(FakeEngine()) as router, httpx.AsyncClient(base_url=router.admin_url) as admin:
        await post(router)
        await post(router, ask("somebodys-secret"))
        text = (await admin.get("/metrics")).text
    assert 'requests_total{endpoint="chat_completions",model="demo-base",outcome="ok"} 1.0' in text
    assert 'requests_total{endpoint="chat_completions",model="",outcome="client_error"} 1.0' in text
    assert "somebodys-secret" not in text
    assert 'patchbay_router_replicas{state="ready"} 1.0' in text


async def test_an_answer_is_measured_by_its_route_revision_and_arm_and_its_trace_is_an_exemplar() -> None:
    fake = FakeEngine(revisions=(revision("sql"),))
    routes, prices = {"ask": {"model": "sql"}}, {"ask": {"prompt": 1_000_000, "answer": 2_000_000}}
    async with (
        running_router(fake, routes=routes, prices=prices) as router,
        httpx.AsyncClient(base_url=router.admin_url) as admin,
    ):
        await post(router, ask("ask", stream=True), traceparent=f"00-{'a' * 32}-{'b' * 16}-01")
        await post(router, ask("sql"))
        await post(router, ask("somebodys-secret"))
        told = await admin.get("/metrics", headers={"accept": "application/openmetrics-text;version=1.0.0"})
    assert told.headers["content-type"].startswith("application/openmetrics-text")
    text, routed = told.text, 'adapter="sql",arm="stable",{}revision="sql@1",route="ask"'
    outcome = 'outcome="ok",'
    assert f"patchbay_router_answers_total{{{routed.format(outcome)}}} 1.0" in text
    assert 'answers_total{adapter="sql",arm="stable",outcome="ok",revision="sql@1",route=""} 1.0' in text
    assert 'answers_total{adapter="",arm="",outcome="client_error",revision="",route=""} 1.0' in text
    assert f"patchbay_router_ttft_seconds_count{{{routed.format('')}}} 1.0" in text
    assert f"patchbay_router_token_seconds_count{{{routed.format('')}}} 1.0" in text
    assert f"patchbay_router_answer_tokens_per_answer_sum{{{routed.format('')}}} 3.0" in text
    assert f"patchbay_router_cost_total{{{routed.format('')}}} 9.0" in text
    assert f'# {{trace_id="{"a" * 32}"}}' in text
    assert "somebodys-secret" not in text


async def test_an_answer_that_had_been_kept_is_counted_as_such_and_not_timed() -> None:
    fake = FakeEngine()
    routes = {"ask": {"model": "demo-base", "cache": {"ttl_s": 60}}}
    async with running_router(fake, routes=routes) as router:
        for _ in range(2):
            await post(router, ask("ask", temperature=0))
        text = router.metrics.render().decode()
    labels = 'adapter="demo-base",arm="base",{}revision="",route="ask"'
    outcome = 'outcome="cached",'
    assert f"answers_total{{{labels.format(outcome)}}} 1.0" in text
    assert f"answer_seconds_count{{{labels.format('')}}} 1.0" in text


async def test_metrics_of_a_revision_go_when_no_replica_serves_it() -> None:
    fake = FakeEngine(revisions=(revision("sql", 1), revision("sql", 2)))
    async with running_router(fake) as router:
        for name in ("sql@1", "sql@2"):
            await post(router, ask(name))
        fake.revisions = (revision("sql", 2),)
        await until(lambda: "sql@1" not in router.fleet.view.table)
        assert b'revision="sql@1"' in router.metrics.render()
        text = router.metrics.render()
    assert b'revision="sql@1"' not in text
    assert b'revision="sql@2"' in text


async def test_with_a_token_only_health_is_open() -> None:
    async with (
        running_router(FakeEngine(), admin_token="admin-secret") as router,
        httpx.AsyncClient(base_url=router.admin_url) as admin,
    ):
        for path in ("/healthz", "/readyz"):
            assert (await admin.get(path)).status_code == 200
        for method, path in (("GET", "/metrics"), ("GET", "/admin/v1/replicas"), ("POST", "/admin/v1/drain")):
            refused = await admin.request(method, path, headers=JSON)
            assert refused.status_code == 401
            assert error_of(refused)["code"] == "invalid_api_key"
        allowed = await admin.get("/metrics", headers={"authorization": "Bearer admin-secret"})
        assert allowed.status_code == 200


async def test_the_admin_port_serves_no_model_and_its_errors_have_openais_shape() -> None:
    async with running_router(FakeEngine()) as router, httpx.AsyncClient(base_url=router.admin_url) as admin:
        for method, path, status in (
            ("GET", "/v1/models", 404),
            ("GET", "/docs", 404),
            ("GET", "/openapi.json", 404),
            ("PUT", "/admin/v1/replicas", 405),
        ):
            response = await admin.request(method, path, headers=JSON)
            assert response.status_code == status
            error_of(response)


async def test_readiness_follows_the_replicas_and_liveness_does_not() -> None:
    fake = FakeEngine()
    async with running_router(fake) as router, httpx.AsyncClient(base_url=router.admin_url) as admin:
        fake.phase = "starting"
        await until(lambda: router.fleet.view.ready == 0)
        assert (await admin.get("/readyz")).status_code == 503
        assert (await admin.get("/healthz")).status_code == 200


async def test_drain_by_request_ends_the_router_as_a_signal_does() -> None:
    async with running_router(FakeEngine()) as router, httpx.AsyncClient(base_url=router.admin_url) as admin:
        assert (await admin.post("/admin/v1/drain", headers=JSON)).status_code == 202
        await until_refused(router)


async def test_a_body_that_nests_too_deeply_is_a_fault_of_the_router() -> None:
    async with running_router(FakeEngine()) as router, httpx.AsyncClient(base_url=router.admin_url) as admin:
        for body in ("[" * 100_000, '{"text": ' * 5_000 + "1" + "}" * 5_000):
            answer = await admin.post("/admin/v1/routes/explain", content=body, headers=JSON)
            assert answer.status_code == 400, answer.text
