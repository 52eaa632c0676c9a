"""The words about adapters while a router runs: in the banner, in the commands, and where a start was for nothing."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from patchbay.adapters.commands.app import app
from patchbay.core.errors import StartError
from patchbay.launch.banner import SampleCall, ready_text
from patchbay.launch.events import ReadyReport
from patchbay.launch.served import report_of_served
from patchbay.router.process.app import Router
from tests.fakes.adapter_folder import write_adapter
from tests.fakes.engine import FakeEngine, Script
from tests.fakes.installation import registry_settings
from tests.fakes.routers import running_router, until

pytestmark = pytest.mark.anyio


def _silent() -> Script:
    body = {"choices": [{"index": 0, "message": {"role": "assistant", "content": ""}}]}
    return Script(fault="answer_200", body=json.dumps(body).encode())


async def _report(folder: Path, *declared: str) -> ReadyReport:
    report = ReadyReport("http://127.0.0.1:8080/v1", "http://127.0.0.1:8081", "base", declared)
    return await asyncio.to_thread(report_of_served, report, registry_settings(folder), declared)


async def _told(folder: Path, *arguments: str) -> Any:
    file = folder / "patchbay.yaml"
    settings = registry_settings(folder)
    registry = {"url": settings.url.get_secret_value(), "artifacts": settings.artifacts.url}
    file.write_text(json.dumps({"base": "org/base", "registry": registry, "adapters": {"sql": "./sql"}}))
    done = await asyncio.to_thread(CliRunner().invoke, app, [*arguments, "-c", str(file)])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout) if "--json" in arguments else done.output


async def _settled(router: Router) -> None:
    await until(lambda: router.public_app.ready)


async def test_the_banner_names_what_is_served_and_why_the_rest_is_not(tmp_path: Path) -> None:
    engine = FakeEngine()
    engine.scripts["mute@1"] = _silent()
    declared = {"sql": write_adapter(tmp_path / "sql"), "mute": write_adapter(tmp_path / "mute", fill=2)}
    named = {name: str(folder) for name, folder in declared.items()} | {"gone": "file:///no/such/folder"}
    async with running_router(
        engine, registry=registry_settings(tmp_path), registry_poll_s=0.02, adapters=named
    ) as router:
        await _settled(router)
        report = await _report(tmp_path, *named)
        assert report.adapters == ("sql",)
        assert list(report.not_served) == ["mute", "gone"]
        assert report.not_served["mute"].startswith("mute@1 did not become stable: replica-0: asked 'Hello'")
        assert report.not_served["gone"].startswith("it cannot be brought in: ")
        text = ready_text(report, SampleCall("mute", "Hello"))
        assert "Models: base, sql\n" in text
        assert "Not served: mute: mute@1 did not become stable" in text
        assert 'model="sql"' in text


async def test_list_and_show_say_what_is_served_and_why_the_rest_is_not(tmp_path: Path) -> None:
    engine = FakeEngine()
    engine.scripts["mute@1"] = _silent()
    declared = {"sql": write_adapter(tmp_path / "sql"), "mute": write_adapter(tmp_path / "mute", fill=2)}
    named = {name: str(folder) for name, folder in declared.items()} | {"gone": "file:///no/such/folder"}
    async with running_router(
        engine, registry=registry_settings(tmp_path), registry_poll_s=0.02, adapters=named
    ) as router:
        await _settled(router)
        listed = await _told(tmp_path, "list", "--json")
        standing = {one["adapter"]: one for one in listed["standing"]}
        assert (standing["sql"]["served"], standing["sql"]["reason"]) == ("sql@1", None)
        assert standing["mute"]["served"] is None
        assert "asked 'Hello'" in standing["mute"]["reason"]
        assert standing["gone"]["reason"].startswith("it cannot be brought in: ")
        shown = " ".join((await _told(tmp_path, "list")).split())
        assert "mute is not served: mute@1 did not become stable: replica-0: asked 'Hello'" in shown
        assert "gone is not served: it cannot be brought in: " in shown
        assert "sql@1 answers to 'sql'." in await _told(tmp_path, "show", "sql")
        assert "mute is not served: mute@1" in await _told(tmp_path, "show", "mute")
        assert (await _told(tmp_path, "show", "mute", "--json"))["standing"]["served"] is None
        assert "asked 'Hello'" in (await _told(tmp_path, "show", "mute@1", "--json"))["refusal"]
        assert "asked 'Hello'" in await _told(tmp_path, "show", "mute@1")


async def test_a_start_whose_adapters_have_all_failed_ends_with_the_reasons(tmp_path: Path) -> None:
    engine = FakeEngine()
    engine.scripts["mute@1"] = _silent()
    named = {"mute": str(write_adapter(tmp_path / "mute"))}
    async with running_router(
        engine, registry=registry_settings(tmp_path), registry_poll_s=0.02, adapters=named
    ) as router:
        await _settled(router)
        with pytest.raises(StartError, match="No adapter can be served: mute: mute@1 did not become stable"):
            await _report(tmp_path, "mute")
        assert (await _report(tmp_path)).not_served.keys() == {"mute"}


async def test_a_registry_that_cannot_be_read_does_not_end_a_run(tmp_path: Path) -> None:
    (tmp_path / "registry.db").write_text("no database")
    assert "nobody can tell what is served" in (await _report(tmp_path, "sql")).remarks["registry"]
