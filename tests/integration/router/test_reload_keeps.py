"""A reload of a file that is half written, empty or misspelt: what protects stays."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from patchbay.core.errors import ConfigError
from patchbay.launch.routing import policy_of_patchbay
from patchbay.router.canary.plan import MetricConfig
from patchbay.router.policy import differences, policy_of_router
from tests.fakes.engine import FakeEngine
from tests.fakes.installation import Installation
from tests.fakes.routers import until
from tests.integration.router.test_control import controlled
from tests.integration.router.trying import SLOW, routed, start, two_revisions, until_phase

pytestmark = pytest.mark.anyio
GUARDED: dict[str, Any] = {
    "routes": {"a": {"model": "demo-base"}},
    "guards": {"pii": {"kind": "rules", "sets": ["pii"], "action": "redact"}},
    "guard_all": ["pii"],
    "tiers": {"default": {"limits": {"requests_per_minute": 500}}},
}


def bad_files() -> dict[str, str]:
    good = yaml.safe_dump(GUARDED, sort_keys=False)
    return {
        "empty": "",
        "cut before guard_all": good[: good.index("guard_all")],
        "cut before guards": good[: good.index("guards:")],
        "cut before tiers": good[: good.index("tiers:")],
        "guard_all misspelt": good.replace("guard_all:", "gard_all:"),
        "both misspelt": good.replace("guard_all:", "gard_all:").replace("guards:", "gards:"),
        "tiers misspelt": good.replace("tiers:", "tier:"),
        "a key of the router misspelt": good + "prot: 80\n",
        "guards again, empty": good + "guards: {}\n",
        "nested deeply": good + "x: " + "[" * 100_000,
    }


async def test_no_guard_and_no_limit_goes_without_a_word_in_the_file(
    tmp_path: Path, installation: Installation
) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(yaml.safe_dump(GUARDED))
    async with controlled(tmp_path, FakeEngine(), policy_file=file, **GUARDED) as router:
        before = router.policy.policy
        for what, text in bad_files().items():
            file.write_text(text)
            with pytest.raises(ConfigError, match=r"before|unknown key|not valid YAML"):
                await router.policy.reload()
            assert router.policy.policy is before, what
        file.write_text(yaml.safe_dump(GUARDED | {"guards": {}, "guard_all": [], "tiers": {}}))
        await router.policy.reload()
        assert not router.policy.policy.config.guards
    told = installation.registry.audit(limit=1)[0]
    removed = {"guards.pii removed", "guard_all.pii removed", "tiers.default removed"}
    assert (told.action, set(told.details["changed"])) == ("policy.reload", removed)


async def test_a_router_that_is_started_again_does_not_take_a_file_that_has_lost_its_guards(tmp_path: Path) -> None:
    for what, text in bad_files().items():
        file = tmp_path / "policy.yaml"
        file.write_text(text)
        async with controlled(tmp_path, FakeEngine(), policy_file=file, **GUARDED) as router:
            assert router.policy.policy.config.guard_all == ("pii",), what
            assert router.policy.policy.config.tiers, what


def test_the_whole_of_a_patchbay_file_is_checked_and_near_names_are_suggested(tmp_path: Path) -> None:
    file = tmp_path / "patchbay.yaml"
    file.write_text(yaml.safe_dump(GUARDED | {"router": {"prot": 80}}))
    with pytest.raises(ConfigError, match="did you mean 'port'"):
        policy_of_patchbay(file)
    file.write_text(yaml.safe_dump(GUARDED | {"router": {"port": 8099}}))
    assert policy_of_patchbay(file).guard_all == ("pii",)


def test_what_a_reload_changes_is_told_by_name(tmp_path: Path) -> None:
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    one.write_text(yaml.safe_dump(GUARDED))
    other.write_text(yaml.safe_dump(GUARDED | {"routes": {"a": {"model": "sql"}, "b": {"model": "sql"}}}))
    changed = differences(policy_of_router(one), policy_of_router(other))
    assert changed == ("routes.a changed", "routes.b added")


async def test_a_reload_that_takes_a_canarys_guard_says_that_it_sees_nothing_any_more(
    tmp_path: Path, installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    two_revisions(installation)
    plan = SLOW.model_copy(update={"metrics": {"guards": MetricConfig()}})
    file = tmp_path / "policy.yaml"
    file.write_text(yaml.safe_dump(GUARDED))
    async with routed(tmp_path, FakeEngine(), policy_file=file, guard_cache=tmp_path / "cache", **GUARDED) as router:
        await until_phase(installation, start(installation, plan), "running")
        await until(lambda: bool(router.live_canaries.running))
        file.write_text(yaml.safe_dump(GUARDED | {"guard_all": []}))
        await router.policy.reload()
    assert "canary 1 of sql@2 sees nothing of guards any more" in caplog.text
