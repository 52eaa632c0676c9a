"""`patchbay doctor`: it says what is not well and what to do, and changes nothing."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from patchbay.command import build_app
from patchbay.router.process.app import Router
from tests.fakes.engine import FakeEngine, Script
from tests.fakes.routers import running_router

pytestmark = pytest.mark.anyio
RUN = CliRunner()
KEY = "k" * 32


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATCHBAY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


async def doctor(router: Router | None, *arguments: str) -> Result:
    where = ["--url", router.url, "--admin-url", router.admin_url] if router else ["--url", "http://127.0.0.1:9"]
    return await asyncio.to_thread(RUN.invoke, build_app(), ["doctor", "--json", *where, *arguments])


def found(result: Result) -> dict[str, dict[str, Any]]:
    return {finding["what"]: finding for finding in json.loads(result.stdout)}


async def test_all_is_well_where_a_router_answers(here: Path) -> None:
    async with running_router(FakeEngine(), admin_open=True) as router:
        result = await doctor(router)
    findings = found(result)
    assert result.exit_code == 0
    assert {findings[what]["state"] for what in ("Python", "registry", "store", "router", "replica", "request")} == {
        "ok"
    }
    assert "demo-base answered" in findings["request"]["says"]
    assert not (here / "data" / "registry.db").exists(), "it made a registry"


async def test_without_a_router_it_says_how_to_start_one() -> None:
    findings = found(await doctor(None))
    assert findings["router"]["state"] == "warning"
    assert "patchbay up" in findings["router"]["todo"]


async def test_a_model_that_fails_and_a_file_that_is_wrong_are_found_and_the_rest_is_looked_at_all_the_same(
    here: Path,
) -> None:
    (here / "patchbay.yaml").write_text("base: x\nrouter:\n  prot: 1\n")
    fake = FakeEngine()
    fake.script = Script(fault="answer_400")
    async with running_router(fake, admin_open=True) as router:
        result = await doctor(router)
    findings = found(result)
    assert result.exit_code == 1
    assert "line 3, column 3" in findings["configuration"]["says"]
    assert "fake trouble" in findings["request"]["says"]
    assert findings["replica"]["state"] == "ok"


async def test_a_key_that_is_missing_is_asked_for_and_one_that_is_given_is_used() -> None:
    async with running_router(FakeEngine(), api_keys=(KEY,), admin_open=True) as router:
        without, given = await doctor(router), await doctor(router, "--key", KEY)
    assert "PATCHBAY_API_KEY" in found(without)["request"]["todo"]
    assert found(given)["request"]["state"] == "ok"
    assert KEY not in without.stdout + given.stdout


async def test_something_else_on_the_port_is_not_taken_for_a_router() -> None:
    fake = FakeEngine(token=None)
    async with fake.running_server():
        result = await asyncio.to_thread(RUN.invoke, build_app(), ["doctor", "--json", "--url", fake.url])
    assert "is not Patchbay" in found(result)["router"]["says"]
    assert result.exit_code == 1


async def test_people_get_a_table() -> None:
    shown = await asyncio.to_thread(RUN.invoke, build_app(), ["doctor", "--url", "http://127.0.0.1:9"])
    assert "what to do" in shown.stdout
    assert "Traceback" not in shown.stdout
