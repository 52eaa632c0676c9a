"""`patchbay canary …`: what people see of a canary, and what its commands say when they cannot do what is wanted."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from adapters.registry.canary_records import CanaryDraft, CanaryRecord, LookDraft
from adapters.registry.records import RouterBeat
from router.canary.conduct import World, conduct, with_tallies
from router.canary.ledger import Counts, Ledger
from router.canary.plan import MetricConfig, PlanConfig, StepConfig
from router.canary_commands import app
from tests.fakes.desk import Desk

PLAN = PlanConfig(
    steps=(StepConfig(weight=20, hold_s=0, samples=5), StepConfig(weight=50, hold_s=0, samples=5)),
    metrics={"errors": MetricConfig(most=0.2)},
)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk.at(tmp_path) as made:
        made.push("sql", 1)
        made.push("sql", 2)
        made.lifecycle.promote("sql@1", actor="ml", now=True)
        yield made


def run(desk: Desk, *arguments: str, **served: Any) -> Result:
    """`served`: what else the configuration says."""
    url, artifacts = desk.settings.url.get_secret_value(), desk.folder / "artifacts"
    config, plan = desk.folder / "patchbay.yaml", desk.folder / "plan.yaml"
    registry = {"url": url, "artifacts": {"url": str(artifacts)}}
    config.write_text(json.dumps({"registry": registry, **served}))
    plan.write_text(json.dumps(PLAN.model_dump(mode="json")))
    return CliRunner().invoke(app, [*arguments, "--config", str(config)])


def alive(desk: Desk) -> None:
    desk.registry.beat(RouterBeat("router-0", desk.registry.generation(), datetime.now(UTC)))


def started(desk: Desk) -> CanaryRecord:
    """A canary as it is once a router has brought its revision everywhere."""
    alive(desk)
    result = run(desk, "start", "sql@2", "--plan", str(desk.folder / "plan.yaml"))
    assert result.exit_code == 0, result.output
    canary = desk.registry.canaries.live("sql")
    assert canary.rollout is not None
    desk.registry.flip(canary.rollout)
    return judged(desk, canary)


def judged(desk: Desk, canary: CanaryRecord, *counts: Counts) -> CanaryRecord:
    """The canary after a look as the router that leads takes it."""
    canaries = desk.registry.canaries
    canaries.tally("router-0", {canary.id: [one.as_json for one in counts]})
    ledger = Ledger.opened(PLAN)
    for look in canaries.looks(canary.id):
        ledger = with_tallies(PLAN, ledger, look.tallies)

    def decide(record: CanaryRecord, tallies: Any, rollout: Any, stable: int | None) -> LookDraft | None:
        world = World(rollout, stable, datetime.now(UTC))
        return conduct(record, PLAN, with_tallies(PLAN, ledger, tallies), tallies, world)

    return canaries.look(canary.id, decide)


GOOD = Counts(0.2, 20, 80)
BAD = Counts(0.2, 20, 80, {"errors": (12, 0)}, own={"errors": 12})


def test_a_canary_needs_a_router_that_is_alive(desk: Desk) -> None:
    result = run(desk, "start", "sql@2")
    assert result.exit_code > 1
    assert "No router is alive" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["start", "sql"], "write it as sql@4"),
        (["start"], "Name a revision"),
        (["start", "sql@2", "--pool", "next"], "Name a revision"),
        (["start", "sql@2", "--plan", "nothing"], "There is no plan 'nothing'"),
        (["start", "sql@9"], "sql has no revision 9"),
        (["start", "sql@1"], "is what 'stable' means already"),
        (["pause", "sql"], "no canary of sql under way"),
        (["watch", "7"], "There is no canary 7"),
        (["replay", "7"], "There is no canary 7"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(desk: Desk, arguments: list[str], says: str) -> None:
    alive(desk)
    result = run(desk, *arguments)
    assert result.exit_code > 1
    assert says in " ".join(result.stderr.split())


ROUTER = {"replicas": ["http://127.0.0.1:9", {"url": "http://127.0.0.1:10", "pool": "next"}]}


def test_a_misspelt_metric_starts_nothing(desk: Desk) -> None:
    alive(desk)
    file = desk.folder / "own.yaml"
    file.write_text("{steps: [{weight: 10}], metrics: {error: {most: 0.05}}}")
    result = run(desk, "start", "sql@2", "--plan", str(file))
    assert result.exit_code == 2
    assert "there is no metric 'error' (did you mean 'errors'?)" in result.stderr
    assert desk.registry.canaries.history() == ()


def test_a_plan_that_would_see_nothing_starts_nothing_and_a_ready_one_says_what_it_sees(desk: Desk) -> None:
    alive(desk)
    file = desk.folder / "own.yaml"
    file.write_text("{steps: [{weight: 10}], metrics: {schema: {most: 0.05}}}")
    result = run(desk, "start", "sql@2", "--plan", str(file), **ROUTER)
    assert result.exit_code == 2
    assert "metrics.schema will see nothing: no guard of sql is of the kind 'schema'" in result.stderr
    guards = {"guards": {"pii": {"kind": "rules", "sets": ["pii"]}}, "guard_all": ["pii"]}
    shown = run(desk, "start", "sql@2", **ROUTER, **guards).stdout
    told = {line.split()[0]: line.split()[1] for line in shown.splitlines() if len(line.split()) > 2}
    assert told.items() >= {"errors": "yes", "guards": "yes", "ttft": "yes", "schema": "no", "refusals": "no"}.items()
    assert {"schema", "refusals"}.isdisjoint(desk.registry.canaries.live("sql").plan["metrics"])


def test_where_no_file_tells_what_is_served_start_says_so_and_refuses_no_route(desk: Desk) -> None:
    alive(desk)
    file = desk.folder / "own.yaml"
    file.write_text("{steps: [{weight: 10}], metrics: {schema: {most: 0.05}}, scope: desk}")
    result = run(desk, "start", "sql@2", "--plan", str(file))
    assert result.exit_code == 0, result.stderr
    assert "Not checked: no file here says which routes and guards there are" in " ".join(result.stdout.split())
    assert json.loads(run(desk, "status", "--json").stdout)


def test_a_pool_that_no_replica_can_be_in_is_refused(desk: Desk) -> None:
    alive(desk)
    result = run(desk, "start", "--pool", "nope", **ROUTER)
    assert result.exit_code == 2
    assert "There is no pool 'nope' (there are: default, next)" in result.stderr
    assert json.loads(run(desk, "start", "--pool", "next", "--json", **ROUTER).stdout)["pool"] == "next"


def test_a_pool_that_was_rolled_back_needs_a_reason(desk: Desk) -> None:
    alive(desk)
    run(desk, "start", "--pool", "next", **ROUTER)
    canaries = desk.registry.canaries
    over = {"phase": "rolled_back", "ended_at": datetime.now(UTC)}
    canaries.change(canaries.live("next"), over, actor="canary", said="canary.rolled_back")
    refused = run(desk, "start", "--pool", "next", **ROUTER)
    assert refused.exit_code == 5
    assert "pool next was rolled back before" in refused.stderr
    again = run(desk, "start", "--pool", "next", "--why", "another image", "--json", **ROUTER)
    canaries.change(canaries.live("next"), {**over, "phase": "promoted"}, actor="ml", said="canary.promoted")
    assert again.exit_code == 0
    assert run(desk, "start", "--pool", "next", **ROUTER).exit_code == 0, "only the last one of a pool counts"


def test_status_says_that_nothing_has_come_yet(desk: Desk) -> None:
    assert "no canary under way" in run(desk, "status").output
    started(desk)
    [told] = json.loads(run(desk, "status", "--json").output)
    assert (told["phase"], told["weight"], told["requests"]) == ("running", 20.0, {"canary": 0, "others": 0})
    assert "no request has reached it yet" in told["says"]


def test_status_tells_of_a_canary_under_way_however_many_have_ended_since(desk: Desk) -> None:
    started(desk)
    canaries = desk.registry.canaries
    for number in range(101):
        over = canaries.start(CanaryDraft("", 0, {}, "ml", pool=f"pool-{number}"))
        canaries.change(over, {"phase": "rolled_back"}, actor="ml", said="canary.abort")
    assert [told["revision"] for told in json.loads(run(desk, "status", "--json").output)] == ["sql@2"]


def test_status_history_and_replay_tell_the_same_of_a_rollback(desk: Desk) -> None:
    canary = judged(desk, started(desk), GOOD)
    assert canary.step == 1
    assert judged(desk, canary, BAD).phase == "rolling_back"
    [told] = json.loads(run(desk, "history", "sql", "--json").output)
    assert told["reason"].startswith("errors: 12 of the canary's 40 were bad")
    replay = run(desk, "replay", str(canary.id), "--json")
    assert replay.exit_code == 0
    assert [one["kind"] for one in json.loads(replay.output)] == ["step", "roll_back"]
    assert "bit for bit" in run(desk, "replay", str(canary.id)).output


def test_a_verdict_that_was_tampered_with_does_not_replay(desk: Desk) -> None:
    canary = judged(desk, judged(desk, started(desk), GOOD), BAD)
    canaries = desk.registry.canaries
    with canaries._database.write() as connection:  # noqa: SLF001 - what nobody may do
        connection.exec_driver_sql("UPDATE looks SET verdict = replace(verdict, '12', '13')")
    assert run(desk, "replay", str(canary.id)).exit_code == 1


def test_a_report_says_what_was_seen_and_what_it_cost(desk: Desk) -> None:
    canary = judged(desk, judged(desk, started(desk), GOOD), BAD)
    out = desk.folder / "reports"
    assert run(desk, "report", str(canary.id), "--out", str(out)).exit_code == 0
    text = (out / "canary-1-sql-2" / "summary.md").read_text()
    assert "| errors | 12 | 0 |" in text
    assert "**Decided by**: errors" in text
    assert json.loads((out / "canary-1-sql-2" / "summary.json").read_text())["requests"] == {
        "canary": 40,
        "others": 160,
    }
    assert "Evidence that it is worse" in (out / "canary-1-sql-2" / "evidence.svg").read_text()


def test_pause_resume_promote_and_abort_are_in_the_audit(desk: Desk) -> None:
    started(desk)
    for command, says in (("pause", "stays at 20%"), ("resume", "goes on"), ("abort", "gets no more requests")):
        result = run(desk, command, "sql", "--why", "a drill")
        assert says in result.output, result.stderr
    done = [one.action for one in desk.registry.audit(subject="sql")]
    assert {"canary.start", "canary.run", "canary.pause", "canary.resume", "canary.abort"} <= set(done)


def test_watch_ends_with_the_canary_and_its_exit_code_says_how(desk: Desk) -> None:
    canary = judged(desk, judged(desk, started(desk), GOOD), BAD)
    desk.registry.canaries.change(
        canary, {"phase": "rolled_back", "ended_at": datetime.now(UTC)}, actor="canary", said="canary.rolled_back"
    )
    result = run(desk, "watch", str(canary.id))
    assert result.exit_code == 1
    assert run(desk, "watch", "sql").output == result.output, "who comes late sees how it went"
    assert "rolled back" in result.output
    assert "errors" in result.output
    [line] = run(desk, "watch", "sql", "--json").stdout.splitlines()
    assert json.loads(line)["phase"] == "rolled_back"
