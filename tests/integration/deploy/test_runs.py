"""What the chart says is run, as far as that can be done without a cluster."""

import asyncio
import tarfile
from pathlib import Path

import httpx
import pytest
import yaml
from helm_python import Chart, package

from patchbay.core.settings import parse_settings
from patchbay.registry.registry import Registry
from patchbay.router.process.app import Router
from patchbay.router.settings.config import RouterConfig
from tests.integration.deploy.charts import NAMESPACE, RELEASE, SECRETS, chart, put_secrets, rendered
from tools.chart import CHART


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_a_router_comes_up_on_its_rendered_configuration_before_any_replica_is_there(tmp_path: Path) -> None:
    objects = rendered({})
    put_secrets(objects, tmp_path)
    url = f"sqlite:///{tmp_path / 'registry.db'}"
    (tmp_path / "registry-url").write_text(url)
    (tmp_path / "metrics-token").write_text("may-look")
    text = next(one["data"]["patchbay.yaml"] for one in objects if "patchbay.yaml" in (one.get("data") or {}))
    data = yaml.safe_load(text.replace(SECRETS, str(tmp_path)))
    # Names as a cluster has them are not here, and neither is the place for artifacts.
    data |= {"host": "127.0.0.1", "admin_host": "127.0.0.1", "port": 0, "admin_port": 0, "dns_interval_s": 60}
    data["registry"]["artifacts"]["url"] = str(tmp_path / "artifacts")
    data["replicas"] = [{**one, "url": "dns+http://pool.invalid:9001"} for one in data["replicas"]]
    Registry.open(url).close()
    router = Router(parse_settings(RouterConfig, data, source="patchbay.yaml"))
    running = asyncio.create_task(router.run())
    try:
        async with asyncio.timeout(30), httpx.AsyncClient(base_url=router.admin_url) as admin:
            await router.up.wait()
            assert (await admin.get("/healthz")).status_code == 200
            assert (await admin.get("/readyz")).status_code == 503
            shown = await admin.get("/metrics", headers={"authorization": "Bearer may-look"})
            assert "patchbay_router_queue_depth" in shown.text, "what scales the pools"
            assert (await admin.get("/metrics")).status_code == 401
    finally:
        router.stop()
        await running


def test_the_packaged_chart_is_whole_and_renders_the_same(tmp_path: Path) -> None:
    archive = package(CHART, destination=tmp_path)
    with tarfile.open(archive) as opened:
        names = {Path(name).name for name in opened.getnames()}
    assert {"values.schema.json", "values-canary.yaml", "NOTES.txt", "_config.tpl"} <= names
    with Chart.load(archive) as packaged:
        assert packaged.render({}, name=RELEASE, namespace=NAMESPACE) == chart().render(
            {}, name=RELEASE, namespace=NAMESPACE
        )
