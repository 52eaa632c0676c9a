"""The registry over HTTP: pushed, promoted, rolled back, retired, each by its role, each in the audit."""

import asyncio
import io
import tarfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from patchbay.router.process.app import Router
from tests.fakes.adapter_folder import write_adapter
from tests.fakes.engine import FakeEngine
from tests.integration.router.test_control import controlled, until_answered_by
from tests.integration.router.wire import error_of

pytestmark = pytest.mark.anyio
TOKENS = [
    {"name": role, "token": f"{role}-secret", "role": role} for role in ("viewer", "publisher", "operator", "admin")
]


def client(router: Router, role: str = "admin") -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=f"{router.admin_url}/admin/v1", headers={"authorization": f"Bearer {role}-secret"}, timeout=10
    )


def archive(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(folder, arcname="adapter")
    return buffer.getvalue()


async def upload(http: httpx.AsyncClient, folder: Path, adapter: str = "sql") -> httpx.Response:
    headers = {"content-type": "application/gzip"}
    return await http.post(f"/adapters/{adapter}/upload", content=archive(folder), headers=headers)


async def finished(http: httpx.AsyncClient, moved: httpx.Response) -> dict[str, Any]:
    assert moved.status_code == 202, moved.text
    rollout: dict[str, Any] = moved.json()["rollout"]
    while rollout["state"] in ("pending", "staging", "testing"):
        await asyncio.sleep(0.02)
        rollout = (await http.get(f"/rollouts/{rollout['id']}")).json()
    return rollout


async def test_a_revision_goes_from_upload_over_promotion_and_rollback_to_retirement(tmp_path: Path) -> None:
    async with controlled(tmp_path, FakeEngine(), admin_tokens=TOKENS) as router, client(router) as http:
        for number in (1, 2):
            pushed = await upload(http, write_adapter(tmp_path / f"v{number}", fill=number))
            assert pushed.status_code == 201, pushed.text
            assert (pushed.json()["revision"]["number"], pushed.json()["created"]) == (number, True)
            promoted = await http.post("/adapters/sql/promote", json={"revision": number, "why": "newer"})
            assert (await finished(http, promoted))["state"] == "done"
        await until_answered_by(router, "sql@2")
        assert (await http.post("/adapters/sql/rollback", json={"why": "worse"})).status_code == 202
        await until_answered_by(router, "sql@1")
        retired = await http.post("/adapters/sql/revisions/2/retire", json={"why": "bad"})
        assert retired.json()["retired_at"]
        used = await http.post("/adapters/sql/revisions/1/retire", json={})
        assert (used.status_code, error_of(used)["code"]) == (409, "conflict")
        detail = (await http.get("/adapters/sql")).json()
        assert [move["kind"] for move in detail["history"]] == ["promote", "promote", "rollback"]
        actions = {(entry["actor"], entry["action"]) for entry in (await http.get("/audit")).json()}
        assert {("admin", "push"), ("admin", "promote"), ("admin", "rollback"), ("admin", "retire")} <= actions


async def test_each_role_may_do_its_own_and_what_is_below_it_and_no_more(tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "v1")
    async with controlled(tmp_path, FakeEngine(), admin_tokens=TOKENS) as router:
        async with client(router, "viewer") as http:
            assert (await http.get("/adapters")).status_code == 200
            refused = await upload(http, folder)
            assert (refused.status_code, error_of(refused)["code"]) == (403, "forbidden")
        async with client(router, "publisher") as http:
            assert (await upload(http, folder)).status_code == 201
            assert (await http.post("/adapters/sql/promote", json={"revision": 1})).status_code == 403
        async with client(router, "operator") as http:
            assert (await http.post("/adapters/sql/promote", json={"revision": 1})).status_code == 202
            assert (await http.post("/drain")).status_code == 403
        async with client(router, "nobody") as http:
            assert (await http.get("/adapters")).status_code == 401


async def test_a_broken_upload_is_refused_with_what_is_wrong_and_leaves_nothing(tmp_path: Path) -> None:
    broken = write_adapter(tmp_path / "broken", r=99)
    async with controlled(tmp_path, FakeEngine(), admin_tokens=TOKENS) as router, client(router) as http:
        refused = await upload(http, broken)
        assert (refused.status_code, error_of(refused)["code"]) == (422, "adapter_rejected")
        assert "expected [99, in]" in error_of(refused)["message"]
        assert (await http.get("/adapters")).json() == []
        assert list((tmp_path / "artifacts").rglob("*.safetensors")) == []
        metrics = await http.get(f"{router.admin_url}/metrics")
        assert 'patchbay_router_push_refusals_total{reason="structure"} 1.0' in metrics.text


async def test_a_push_never_reads_the_routers_own_disk(tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "v1")
    async with controlled(tmp_path, FakeEngine(), admin_tokens=TOKENS) as router, client(router) as http:
        for source in (str(folder), f"file://{folder}", f"local://{folder}", f"simplecache::file://{folder}"):
            refused = await http.post("/adapters/sql/revisions", json={"source": source})
            assert refused.status_code == 400, source
        assert (await http.get("/adapters")).json() == []


async def test_the_api_describes_itself_without_asking_anything_of_the_internet(tmp_path: Path) -> None:
    async with controlled(tmp_path, FakeEngine(), admin_tokens=TOKENS) as router, client(router) as http:
        document = (await http.get("/openapi.json")).json()
        assert "/admin/v1/adapters/{name}/promote" in document["paths"]
        page = await http.get("/docs")
        assert page.status_code == 200
        assert "http://" not in page.text
        assert "https://" not in page.text
        assert (await http.get("/static/swagger-ui-bundle.js")).status_code == 200
