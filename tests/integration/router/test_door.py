"""Both ports as a browser reaches them: by another name, from another site's page, and from a page that may."""

import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from patchbay.router.process.app import Router
from tests.fakes.engine import FakeEngine
from tests.fakes.routers import running_router, until
from tests.integration.router.wire import CHAT, ask, error_of

pytestmark = pytest.mark.anyio
_CHANGES = ("/admin/v1/drain", "/admin/v1/reload")
_JSON = {"content-type": "application/json"}


@asynccontextmanager
async def shut_router(folder: Path, patch: pytest.MonkeyPatch, **settings: Any) -> AsyncIterator[tuple[Router, str]]:
    """A router as it comes, with its data in `folder`, and its admin token."""
    patch.setenv("PATCHBAY_DATA_DIR", str(folder))
    async with running_router(FakeEngine(), admin_open=False, **settings) as router:
        yield router, (folder / "admin-token").read_text().strip()


async def test_the_admin_port_needs_its_token_from_the_first_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        shut_router(tmp_path, monkeypatch) as (router, token),
        httpx.AsyncClient(base_url=router.admin_url) as admin,
    ):
        assert stat.S_IMODE((tmp_path / "admin-token").stat().st_mode) == 0o600
        for path in _CHANGES:
            refused = await admin.post(path, headers=_JSON)
            assert refused.status_code == 401
            assert "patchbay admin token" in error_of(refused)["message"]
        for path in ("/metrics", "/admin/v1/replicas", "/admin/v1/openapi.json"):
            assert (await admin.get(path)).status_code == 401
        for path in ("/healthz", "/readyz"):
            assert (await admin.get(path, headers={"host": "probe.example"})).status_code == 200
        shown = {"authorization": f"Bearer {token}"}
        assert (await admin.get("/metrics", headers=shown)).status_code == 200
        assert not router.public_app.draining
        assert (await admin.post("/admin/v1/drain", headers=shown)).status_code == 202


async def test_the_token_in_the_address_opens_pages_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        shut_router(tmp_path, monkeypatch) as (router, token),
        httpx.AsyncClient(base_url=router.admin_url, follow_redirects=True) as browser,
    ):
        page = await browser.get(f"/?token={token}")
        assert page.status_code == 200
        assert page.headers["referrer-policy"] == "no-referrer"
        assert f"/admin/v1/openapi.json?token={token}" in page.text
        assert (await browser.get(f"/admin/v1/openapi.json?token={token}")).status_code == 200
        assert (await browser.post(f"/admin/v1/drain?token={token}", headers=_JSON)).status_code == 401
        broken_out = await browser.get("/admin/v1/docs", params={"token": "'</script><script>alert(1)//"})
        assert "</script><script>alert" not in broken_out.text
        assert "alert(1)" not in broken_out.text.replace("%27%3C%2Fscript%3E%3Cscript%3Ealert%281%29%2F%2F", "")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "attacker.example:8081", **_JSON}, 403),
        ({"origin": "https://attacker.example", **_JSON}, 403),
        ({"origin": "http://localhost:3000", **_JSON}, 403),
        ({"origin": "null", **_JSON}, 403),
        ({"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors", **_JSON}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({}, 415),
    ],
)
@pytest.mark.parametrize("path", _CHANGES)
async def test_no_web_page_can_change_even_an_open_admin_port(path: str, headers: dict[str, str], status: int) -> None:
    async with running_router(FakeEngine()) as router, httpx.AsyncClient(base_url=router.admin_url) as admin:
        refused = await admin.post(path, headers=headers)
        assert refused.status_code == status, refused.text
        assert error_of(refused)["message"]
        assert not router.public_app.draining


async def test_an_open_admin_port_is_for_programs_on_this_machine() -> None:
    async with running_router(FakeEngine()) as router, httpx.AsyncClient(base_url=router.admin_url) as admin:
        assert (await admin.post("/admin/v1/drain", headers=_JSON)).status_code == 202
        await until(lambda: router.public_app.draining)


async def test_the_public_port_answers_to_its_names_only_but_for_health() -> None:
    other = {"host": "attacker.example"}
    async with running_router(FakeEngine()) as router, httpx.AsyncClient(base_url=router.url) as client:
        assert (await client.get("/v1/models", headers=other)).status_code == 403
        for path in ("/healthz", "/health"):
            assert (await client.get(path, headers=other)).status_code == 200
        assert (await client.get("/v1/models")).status_code == 200
    named = running_router(FakeEngine(), hosts=["llm.example"])
    async with named as router, httpx.AsyncClient(base_url=router.url) as client:
        assert (await client.get("/v1/models", headers={"host": "llm.example"})).status_code == 200
        assert (await client.get("/v1/models", headers=other)).status_code == 403


async def test_a_page_may_not_use_a_router_that_is_open_to_all_and_with_keys_a_key_decides() -> None:
    page = {"origin": "https://attacker.example"}
    async with running_router(FakeEngine()) as router, httpx.AsyncClient(base_url=router.url) as client:
        simple = {**page, "content-type": "text/plain"}
        assert (await client.post(CHAT, json=ask(), headers=simple)).status_code == 403
        assert (await client.post(CHAT, json=ask())).status_code == 200
    keyed = running_router(FakeEngine(), api_keys=["sk-1"])
    async with keyed as router, httpx.AsyncClient(base_url=router.url) as client:
        assert (await client.post(CHAT, json=ask(), headers=page)).status_code == 401
        answer = await client.post(CHAT, json=ask(), headers={**page, "authorization": "Bearer sk-1"})
        assert answer.status_code == 200
        assert "access-control-allow-origin" not in answer.headers


async def test_a_page_of_a_told_origin_may_ask_first_and_read_answers_and_errors() -> None:
    page = {"origin": "https://chat.example"}
    asks = {**page, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    settings = {"cors_origins": ["https://chat.example"], "api_keys": ["sk-1"]}
    async with running_router(FakeEngine(), **settings) as router, httpx.AsyncClient(base_url=router.url) as client:
        asked = await client.options(CHAT, headers=asks)
        assert asked.status_code == 200
        assert asked.headers["access-control-allow-headers"] == "authorization"
        assert "POST" in asked.headers["access-control-allow-methods"]
        shown = {**page, "authorization": "Bearer sk-1"}
        for answer in (
            asked,
            await client.post(CHAT, json=ask(), headers=shown),
            await client.post(CHAT, json=ask(stream=True), headers=shown),
            await client.post(CHAT, json=ask("nobodys"), headers=shown),
            await client.post(CHAT, json=ask(), headers=page),
        ):
            assert answer.headers["access-control-allow-origin"] == "https://chat.example"
            assert answer.headers["vary"] == "origin"
        other = await client.options(CHAT, headers={**asks, "origin": "https://other.example"})
        assert other.status_code == 401
        assert "access-control-allow-origin" not in other.headers
