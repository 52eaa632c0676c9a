"""`patchbay tenants`, `keys`, `usage` and `route`, as people and programs call them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from patchbay.command import build_app
from patchbay.core.tenancy import key_digest
from patchbay.registry.records import UsageBatch, UsageRow
from patchbay.registry.registry import Registry

RUN = CliRunner()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATCHBAY_REGISTRY", f"sqlite:///{tmp_path / 'registry.db'}")
    monkeypatch.setenv("PATCHBAY_ACTOR", "me")
    return tmp_path


def run(*arguments: str, text: str | None = None) -> Result:
    return RUN.invoke(build_app(), arguments, input=text)


def said(*arguments: str) -> Any:
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_a_key_is_shown_once_and_only_its_hash_is_kept(here: Path) -> None:
    assert run("tenants", "create", "acme", "--tier", "pro", "--limit", "concurrent=3").exit_code == 0
    made = said("keys", "create", "acme", "--route", "help", "--expires", "90d", "--note", "the app")
    listed = said("keys", "list", "acme")
    assert made["key"] not in json.dumps(listed)
    assert made["key"].encode() not in (here / "registry.db").read_bytes()
    with Registry.open(f"sqlite:///{here / 'registry.db'}") as registry:
        (record,) = registry.accounts.keys()
    assert record.digest == key_digest(made["key"].encode())
    assert record.digest not in repr(record)
    assert record.scope.routes == ("help",)


def test_a_rotated_key_overlaps_and_a_revoked_one_is_gone_and_both_are_in_the_audit() -> None:
    run("tenants", "create", "acme")
    old = said("keys", "create", "acme", "--adapter", "sql")
    new = said("keys", "rotate", old["id"], "--overlap", "2h")
    assert new["adapters"] == ["sql"]
    states = {one["id"]: one for one in said("keys", "list")}
    assert states[old["id"]]["expires_at"] is not None
    assert states[old["id"]]["revoked_at"] is None
    assert run("keys", "revoke", new["id"]).exit_code == 0
    assert run("keys", "revoke", new["id"]).exit_code == 5
    actions = [entry["action"] for entry in said("adapters", "audit")]
    assert actions.count("key.create") == 2
    assert actions.count("key.revoke") == 2


def test_a_tenants_limits_are_changed_one_by_one_and_wrong_ones_are_refused() -> None:
    run("tenants", "create", "acme", "--limit", "concurrent=3", "--limit", "tokens_per_day=1000")
    run("tenants", "set", "acme", "--limit", "concurrent=", "--limit", "money_per_day=1.5", "--tier", "pro")
    (tenant,) = said("tenants", "list")
    assert tenant["tier"] == "pro"
    assert {name: value for name, value in tenant["limits"].items() if value is not None} == {
        "tokens_per_day": 1000,
        "money_per_day": 1.5,
    }
    wrong = run("tenants", "set", "acme", "--limit", "concurent=3")
    assert wrong.exit_code == 2
    assert "did you mean 'concurrent'" in wrong.output
    assert run("tenants", "set", "acme", "--limit", "concurrent=-3").exit_code == 2


def test_a_tier_that_the_file_does_not_have_is_refused_with_the_nearest(here: Path) -> None:
    assert "was not checked" in run("tenants", "create", "early", "--tier", "pro").stderr
    (here / "patchbay.yaml").write_text("base: m\ntiers: {pro: {}}\n")
    wrong = run("tenants", "create", "acme", "--tier", "pros")
    assert (wrong.exit_code, "did you mean 'pro'" in wrong.output) == (4, True)
    assert "default, pro" in run("tenants", "create", "acme", "--tier", "gold").output
    assert run("tenants", "create", "acme", "--tier", "pro").exit_code == 0
    assert run("tenants", "set", "acme", "--tier", "gold").exit_code == 4
    assert run("tenants", "set", "acme", "--tier", "gold", "--anyway").exit_code == 0
    assert run("tenants", "set", "acme", "--tier", "default").exit_code == 0


def test_a_key_opens_no_name_that_is_nowhere_known(here: Path) -> None:
    run("tenants", "create", "acme")
    assert "was not checked" in run("keys", "create", "acme", "--route", "suport", "--adapter", "sqll").stderr
    (here / "patchbay.yaml").write_text(
        "base: {model: m, name: tiny}\nadapters: {sql: ./sql}\nroutes: {support: sql}\n"
    )
    for option, wrong, right in (("--route", "suport", "support"), ("--adapter", "sqll", "sql")):
        refused = run("keys", "create", "acme", option, wrong)
        assert (refused.exit_code, f"did you mean '{right}'" in refused.output) == (4, True)
        assert run("keys", "create", "acme", option, wrong, "--anyway").exit_code == 0
        assert run("keys", "create", "acme", option, right).exit_code == 0
    assert run("keys", "create", "acme", "--adapter", "tiny").exit_code == 0
    assert "no router uses this registry" in run("keys", "create", "acme").stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("keys", "create", "nobody"), 4),
        (("keys", "revoke", "nothing"), 4),
        (("tenants", "create", "no good!"), 2),
        (("tenants", "set", "nobody"), 4),
        (("tenants", "disable", "nobody"), 4),
    ],
)
def test_what_is_not_there_or_not_right_ends_with_its_own_exit_code(arguments: tuple[str, ...], code: int) -> None:
    assert run(*arguments).exit_code == code


def test_nobody_is_said_to_be_nobody_and_limits_are_shown_as_they_are_typed() -> None:
    run("tenants", "create", "acme", "--limit", "tokens_per_day=2000000")
    assert "tokens_per_day=2000000 " in f"{run('tenants', 'list').stdout} ".replace("\n", " ")
    for command in (("usage",), ("keys", "list")):
        wrong = run(*command, "acmee")
        assert (wrong.exit_code, "did you mean 'acme'" in wrong.output) == (4, True)
        assert run(*command, "acme").exit_code == run(*command, "default").exit_code == 0


def test_usage_is_summed_and_comes_as_csv(here: Path) -> None:
    run("tenants", "create", "acme")
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    with Registry.open(f"sqlite:///{here / 'registry.db'}") as registry:
        for number in (1, 2):
            rows = (
                UsageRow(
                    hour=now,
                    tenant="acme",
                    route="help",
                    model="sql@1",
                    requests=3,
                    failed=1,
                    prompt_tokens=10,
                    answer_tokens=20,
                    billionths=500_000_000,
                ),
                *[
                    UsageRow(
                        hour=now,
                        tenant="other",
                        route="",
                        model="base",
                        requests=1,
                        failed=0,
                        prompt_tokens=1,
                        answer_tokens=1,
                        billionths=10,
                    )
                ]
                * (number == 1),
            )
            registry.accounts.add_usage(UsageBatch("a router", number, rows))
    (row,) = said("usage", "acme")
    assert (row["requests"], row["failed"], row["prompt_tokens"], row["answer_tokens"], row["cost"]) == (
        6,
        2,
        20,
        40,
        1,
    )
    lines = run("usage", "--by", "tenant", "--csv").stdout.splitlines()
    assert lines == [
        "tenant,requests,failed,prompt_tokens,answer_tokens,cost",
        "acme,6,2,20,40,1.00",
        "other,1,0,1,1,0.00000001",
    ]


def test_what_routers_of_before_have_counted_as_floats_is_added_to_whole_billionths(here: Path) -> None:
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    with Registry.open(f"sqlite:///{here / 'registry.db'}") as registry:
        registry.accounts.add_usage(
            UsageBatch(
                "new",
                1,
                (
                    UsageRow(
                        hour=now,
                        tenant="acme",
                        route="",
                        model="base",
                        requests=1,
                        failed=0,
                        prompt_tokens=1,
                        answer_tokens=1,
                        billionths=7,
                    ),
                ),
            )
        )
        with registry.accounts._database.write() as connection:  # noqa: SLF001 - as a router of before does it
            connection.exec_driver_sql("UPDATE usage SET cost = cost + 0.1, requests = requests + 1")
        (row,) = registry.accounts.usage(since=now)
    assert (row.requests, row.billionths) == (2, 100_000_007)


ROUTES = {
    "routes": {"a": "sql", "b": {"split": [{"model": "x"}, {"model": "y"}]}, "rest": "base"},
    "auto": {"general": "rest", "rules": [{"route": "a", "pattern": "^select"}]},
}


def test_a_route_is_explained_and_evaluated_by_the_file_that_is_here(here: Path) -> None:
    (here / "patchbay.yaml").write_text(yaml.safe_dump(ROUTES))
    why = said("route", "explain", "select it")
    assert (why["route"], why["model"]) == ("a", "sql")
    assert "pattern" in why["why"][0]
    (here / "texts.jsonl").write_text('{"text": "select", "route": "a"}\n{"text": "what", "route": "a"}\n')
    done = run("route", "eval", "texts.jsonl", "--json", "--least", "0.9")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["confusion"]["a"] == {"a": 1, "rest": 1}
    assert run("route", "explain", "x", "--model", "nothing").exit_code == 2
    (here / "patchbay.yaml").rename(here / "other.yaml")
    assert "-c FILE" in run("route", "eval", "texts.jsonl").output
    assert run("route", "eval", "texts.jsonl", "-c", "other.yaml").exit_code == 0


@pytest.mark.parametrize("line", ["no json", '{"text": 1, "route": "a"}', '{"text": "x", "route": "zzz"}', ""])
def test_texts_that_cannot_be_evaluated_are_refused_with_their_place(here: Path, line: str) -> None:
    (here / "patchbay.yaml").write_text(yaml.safe_dump(ROUTES))
    (here / "texts.jsonl").write_text(line)
    done = run("route", "eval", "texts.jsonl")
    assert done.exit_code == 2
    assert "texts" in done.output or "zzz" in done.output


def test_the_demos_auto_sends_at_least_95_in_100_held_out_texts_to_the_right_adapter(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from patchbay.router.routes.config import RoutesConfig
    from patchbay.router.routes.evaluation import Text, evaluate
    from patchbay.router.routes.table import compile_table
    from patchbay.tuning.demo.asking import GENERAL, held_out_texts, learnt_texts
    from patchbay.tuning.demo.corpus import TASKS
    from patchbay.tuning.demo.recipe import SHIPPED_SEED

    examples = {task: learnt_texts(task, SHIPPED_SEED, 80) for task in TASKS}
    routes = {**{task: task for task in TASKS}, GENERAL: "base"}
    config = RoutesConfig.model_validate({"routes": routes, "auto": {"general": GENERAL, "examples": examples}})
    held_out = [Text(text=text, route=task) for task, text in held_out_texts(SHIPPED_SEED, 200)]
    learnt = {text for texts in examples.values() for text in texts}
    assert not learnt & {one.text for one in held_out}
    result = evaluate(compile_table(config), held_out)
    assert result.total == 200
    assert result.share >= 0.95
    assert result.recall(GENERAL) >= 0.95
