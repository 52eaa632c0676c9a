"""A reload of a file that is half written, empty or misspelt: what protects stays."""

from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from patchbay.core.errors import ConfigError
from patchbay.core.tenancy import Limits
from patchbay.launch.routing import read_patchbay_file
from patchbay.registry.records import Scope
from patchbay.router.canary.plan import MetricConfig
from patchbay.router.settings.policy import differences, read_router_file, restart_keys
from tests.fakes.engine import FakeEngine
from tests.fakes.installation import Installation
from tests.fakes.routers import until
from tests.integration.router.test_control import controlled
from tests.integration.router.trying import SLOW, routed, start, two_revisions, until_phase
from tests.integration.router.wire import post

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


async def test_a_tier_that_tenants_are_of_does_not_go_and_one_that_nobody_knows_lets_nobody_in(
    tmp_path: Path, installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    accounts = installation.registry.accounts
    accounts.create_tenant("acme", tier="pro", limits=Limits(), actor="ml")
    key, _ = accounts.create_key("acme", Scope(), actor="ml")
    shown = f"Bearer {key.text}"
    file, tiered = tmp_path / "policy.yaml", GUARDED | {"tiers": {"pro": {}}}
    file.write_text(yaml.safe_dump(tiered))
    async with controlled(tmp_path, FakeEngine(), policy_file=file, **tiered) as router:
        assert (await post(router, authorization=shown)).status_code == 200
        file.write_text(yaml.safe_dump(GUARDED))
        with pytest.raises(ConfigError, match=r"'pro' has gone from it.*acme"):
            await router.policy.reload()
        assert (await post(router, authorization=shown)).status_code == 200
        accounts.set_tenant("acme", tier="gold", actor="ml")
        await until(lambda: router.policy.tenants_without_tier == 1)
        assert "no tier 'gold'" in caplog.text
        assert "patchbay_router_tenants_without_tier 1.0" in router.metrics.render().decode()
        refused = await post(router, authorization=shown)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
        file.write_text(yaml.safe_dump(GUARDED | {"tiers": {"pro": {}, "gold": {}}}))
        await router.policy.reload()
        assert (await post(router, authorization=shown)).status_code == 200
        assert router.policy.tenants_without_tier == 0


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
        read_patchbay_file(file)
    file.write_text(yaml.safe_dump(GUARDED | {"router": {"port": 8099}}))
    assert read_patchbay_file(file).guard_all == ("pii",)


def test_what_a_reload_changes_is_told_by_name(tmp_path: Path) -> None:
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    one.write_text(yaml.safe_dump(GUARDED))
    other.write_text(yaml.safe_dump(GUARDED | {"routes": {"a": {"model": "sql"}, "b": {"model": "sql"}}}))
    changed = differences(read_router_file(one), read_router_file(other))
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


async def test_a_reload_says_what_changed_what_needs_a_restart_and_what_names_nothing(
    tmp_path: Path, installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(yaml.safe_dump(GUARDED))
    async with controlled(tmp_path, FakeEngine(), policy_file=file, **GUARDED) as router:
        await until(lambda: router.public_app.ready)
        routes = {"a": {"model": "demo-base", "tenants": ["acmee"]}, "b": "demo-bas"}
        changed = GUARDED | {"routes": routes, "port": 8099, "breaker": {"open_s": 3}}
        file.write_text(yaml.safe_dump(changed))
        async with httpx.AsyncClient() as http:
            told = (await http.post(f"{router.admin_url}/admin/v1/reload", json={})).json()
    assert told["changed"] == ["routes.a changed", "routes.b added"]
    assert told["needs_restart"] == ["port", "breaker.open_s"]
    assert [one.partition(" (")[0] for one in told["warnings"]] == [
        "routes.a.tenants: there is no tenant 'acmee'",
        "routes.b: nothing is called 'demo-bas'",
    ]
    assert "need a restart: port, breaker.open_s" in caplog.text
    assert "demo-bas" in caplog.text


def test_keys_that_need_a_restart_are_named_in_the_file_of_up_too(tmp_path: Path) -> None:
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    one.write_text(yaml.safe_dump(GUARDED | {"base": "m"}))
    other.write_text(yaml.safe_dump(GUARDED | {"base": "n", "router": {"port": 8099, "api_keys": ["k"]}, "routes": {}}))
    told = set(restart_keys(read_patchbay_file(one), read_patchbay_file(other)))
    assert told - {"router.policy_file"} == {"base.model", "router.port", "router.api_keys"}


async def test_at_the_start_a_router_says_what_its_routes_name_and_is_not_there(
    tmp_path: Path, installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    async with controlled(tmp_path, FakeEngine(), routes={"a": {"model": "demo-bas", "tenants": ["acme"]}}):
        await until(lambda: "nothing is called 'demo-bas' (did you mean 'demo-base'?)" in caplog.text)
    assert "there is no tenant 'acme'" in caplog.text


async def test_a_file_cut_at_any_line_opens_no_route_and_lifts_no_limit(
    tmp_path: Path, installation: Installation
) -> None:
    file = tmp_path / "policy.yaml"
    settings = {
        "guards": GUARDED["guards"],
        "guard_all": [],
        "tiers": {"default": {"weight": 1}, "tok": {"weight": 1, "limits": {"tokens_per_minute": 300}}},
        "prices": {},
        "routes": {
            "plain": {"model": "demo-base", "pool": "default"},
            "guarded": {"model": "demo-base", "guards": ["pii"]},
            "priv": {"model": "demo-base", "tenants": ["acme"]},
        },
    }
    whole = yaml.safe_dump(settings, sort_keys=False)
    file.write_text(whole)
    async with controlled(tmp_path, FakeEngine(), policy_file=file, **settings) as router:
        before = router.policy.policy
        lines = whole.splitlines(keepends=True)
        for count in range(len(lines)):
            file.write_text("".join(lines[:count]))
            with pytest.raises(ConfigError):
                await router.policy.reload()
            assert router.policy.policy is before, count
        settings["routes"]["priv"]["tenants"].append("rival")
        file.write_text(yaml.safe_dump(settings | {"accept_weaker": ["routes.priv.tenants"]}))
        await router.policy.reload()
        assert router.policy.policy.config.routes["priv"].tenants == ("acme", "rival")
    told = installation.registry.audit(limit=1)[0]
    assert "routes.priv.tenants would be open to 'rival', too" in told.details["changed"]
