"""The playbook in docs/operations.md, run as it stands against a canary that goes wrong."""

import asyncio
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from patchbay.command import build_app
from patchbay.registry.canary_records import CanaryDraft
from patchbay.router.canary.plan import MetricConfig, PlanConfig, StepConfig
from tests.fakes.engine import FakeEngine
from tests.fakes.installation import Installation, registry_settings
from tests.fakes.routers import running_router, until

pytestmark = pytest.mark.anyio
PAGE = Path(__file__).parents[3] / "docs" / "operations.md"
# It lasts for as long as nobody acts.
PLAN = PlanConfig(steps=(StepConfig(weight=50, hold_s=600),), metrics={"errors": MetricConfig(most=0.2)})


def playbook() -> list[str]:
    """Its commands, in order."""
    section = PAGE.read_text(encoding="utf-8").partition("the playbook\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with Installation.at(tmp_path) as made:
        made.push("sql", 1)
        made.push("sql", 2)
        made.lifecycle.promote("sql@1", actor="ml", now=True)
        yield made


async def test_the_playbook_ends_a_canary_verifies_it_and_leaves_a_report(
    tmp_path: Path, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url, artifacts = installation.settings.url.get_secret_value(), tmp_path / "artifacts"
    (tmp_path / "patchbay.yaml").write_text(f"registry: {{url: '{url}', artifacts: {{url: '{artifacts}'}}}}\n")
    settings = {"registry": registry_settings(tmp_path, keep_warm_s=600), "registry_poll_s": 0.05}
    canary = {"incidents": str(tmp_path / "told")}
    async with running_router(FakeEngine(), canary=canary, **settings) as router:
        await until(lambda: "sql" in router.fleet.view.table)
        draft = CanaryDraft(adapter="sql", number=2, plan=PLAN.model_dump(mode="json"), actor="ml")
        made = installation.registry.canaries.start(draft)
        await until(lambda: installation.registry.canaries.get(made.id).phase == "running", timeout_s=15)
        said = []
        for command in playbook():
            done = await asyncio.to_thread(CliRunner().invoke, build_app(), shlex.split(command)[1:])
            assert done.exit_code == 0, f"{command}: {done.output}{done.stderr}"
            said.append(done.output)
            if " abort " in command:
                await until(lambda: installation.registry.canaries.get(made.id).phase == "rolled_back", timeout_s=2)
    assert len(said) == 7
    assert "no share left on 1 router" in " ".join(said[2].split())
    assert (tmp_path / "incidents" / "canary-1-sql-2" / "summary.md").exists()
    assert "canary.abort" in said[-1]
