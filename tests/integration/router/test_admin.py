import httpx
import pytest

from tests.fakes.engine import FakeEngine, revision
from tests.fakes.routers import running_router, until
from tests.integration.router.wire import ask, error_of, post, until_refused

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


async def test_with_a_token_only_health_is_open() -> None:
    async with (
        running_router(FakeEngine(), admin_token="admin-secret") as router,
        httpx.AsyncClient(base_url=router.admin_url) as admin,
    ):
        for path in ("/healthz", "/readyz"):
            assert (await admin.get(path)).status_code == 200
        for method, path in (("GET", "/metrics"), ("GET", "/admin/v1/replicas"), ("POST", "/admin/v1/drain")):
            refused = await admin.request(method, path)
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
            response = await admin.request(method, path)
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
        assert (await admin.post("/admin/v1/drain")).status_code == 202
        await until_refused(router)
