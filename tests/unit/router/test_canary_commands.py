"""`patchbay canary …`: what people see of a canary, and what its commands say when they cannot do what is wanted."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from patchbay.registry.canary_records import CanaryDraft, CanaryRecord, LookDraft
from patchbay.registry.records import RouterBeat
from patchbay.router.canary.ledger import Counts, Ledger
from patchbay.router.canary.phases import CanarySurroundings, next_phase, with_tallies
from patchbay.router.canary.plan import MetricConfig, PlanConfig, StepConfig
from patchbay.router.canary.served import served_of
from patchbay.router.cli.canary import app
from patchbay.router.control.canary_loop import opened_ledger
from patchbay.router.settings.config import PolicyConfig
from tests.fakes.installation import Installation

PLAN = PlanConfig(
    steps=(StepConfig(weight=20, hold_s=0, samples=5), StepConfig(weight=50, hold_s=0, samples=5)),
    metrics={"errors": MetricConfig(most=0.2)},
)


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with Installation.at(tmp_path) as made:
        made.push("sql", 1)
        made.push("sql", 2)
        made.lifecycle.promote("sql@1", actor="ml", now=True)
        yield made


def run(installation: Installation, *arguments: str, **served: Any) -> Result:
    """`served`: what else the configuration says."""
    url, artifacts = installation.settings.url.get_secret_value(), installation.folder / "artifacts"
    config, plan = installation.folder / "patchbay.yaml", installation.folder / "plan.yaml"
    registry = {"url": url, "artifacts": {"url": str(artifacts)}}
    config.write_text(json.dumps({"registry": registry, **served}))
    plan.write_text(json.dumps(PLAN.model_dump(mode="json")))
    return CliRunner().invoke(app, [*arguments, "--config", str(config)])


def alive(installation: Installation) -> None:
    installation.registry.beat(RouterBeat("router-0", installation.registry.generation(), datetime.now(UTC)))


def started(installation: Installation) -> CanaryRecord:
    """A canary as it is once a router has brought its revision everywhere."""
    alive(installation)
    result = run(installation, "start", "sql@2", "--plan", str(installation.folder / "plan.yaml"))
    assert result.exit_code == 0, result.output
    canary = installation.registry.canaries.live("sql")
    assert canary.rollout is not None
    installation.registry.flip(canary.rollout)
    return judged(installation, canary)


def judged(installation: Installation, canary: CanaryRecord, *counts: Counts) -> CanaryRecord:
    """The canary after a look as the router that leads takes it."""
    canaries = installation.registry.canaries
    canaries.tally("router-0", {canary.id: [one.as_json for one in counts]})
    ledger = Ledger.opened(PLAN)
    for look in canaries.looks(canary.id):
        ledger = with_tallies(PLAN, ledger, look.tallies)

    def decide(record: CanaryRecord, tallies: Any, rollout: Any, stable: int | None) -> LookDraft | None:
        world = CanarySurroundings(rollout=rollout, stable=stable, now=datetime.now(UTC))
        return next_phase(record, PLAN, with_tallies(PLAN, ledger, tallies), tallies, world)

    return canaries.look(canary.id, decide)


GOOD = Counts(share=0.2, canary=20, other=80)
BAD = Counts(share=0.2, canary=20, other=80, bad={"errors": (12, 0)}, own={"errors": 12})


def test_a_canary_needs_a_router_that_is_alive(installation: Installation) -> None:
    result = run(installation, "start", "sql@2")
    assert result.exit_code > 1
    assert "No router is running" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["start", "sql"], "write it as sql@4"),
        (["start"], "Name either a revision"),
        (["start", "sql@2", "--pool", "next"], "Name either a revision"),
        (["start", "sql@2", "--plan", "nothing"], "There is no plan 'nothing'"),
        (["start", "sql@9"], "sql has no revision 9"),
        (["start", "sql@1"], "'stable' means sql@1 already"),
        (["pause", "sql"], "no canary of sql under way"),
        (["watch", "7"], "There is no canary 7"),
        (["replay", "7"], "There is no canary 7"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(installation: Installation, arguments: list[str], says: str) -> None:
    alive(installation)
    result = run(installation, *arguments)
    assert result.exit_code > 1
    assert says in " ".join(result.stderr.split())


ROUTER = {"replicas": ["http://127.0.0.1:9", {"url": "http://127.0.0.1:10", "pool": "next"}]}


def test_a_misspelt_metric_starts_nothing(installation: Installation) -> None:
    alive(installation)
    file = installation.folder / "own.yaml"
    file.write_text("{steps: [{weight: 10}], metrics: {error: {most: 0.05}}}")
    result = run(installation, "start", "sql@2", "--plan", str(file))
    assert result.exit_code == 2
    assert "there is no metric 'error' (did you mean 'errors'?)" in result.stderr
    assert installation.registry.canaries.history() == ()


def test_a_plan_that_would_see_nothing_starts_nothing_and_a_ready_one_says_what_it_sees(
    installation: Installation,
) -> None:
    alive(installation)
    file = installation.folder / "own.yaml"
    file.write_text("{steps: [{weight: 10}], metrics: {schema: {most: 0.05}}}")
    result = run(installation, "start", "sql@2", "--plan", str(file), **ROUTER)
    assert result.exit_code == 2
    assert "metrics.schema will see nothing: no guard of sql is of the kind 'schema'" in result.stderr
    guards = {"guards": {"pii": {"kind": "rules", "sets": ["pii"]}}, "guard_all": ["pii"]}
    shown = run(installation, "start", "sql@2", **ROUTER, **guards).stdout
    told = {line.split()[0]: line.split()[1] for line in shown.splitlines() if len(line.split()) > 2}
    assert told.items() >= {"errors": "yes", "guards": "yes", "ttft": "yes", "schema": "no", "refusals": "no"}.items()
    assert {"schema", "refusals"}.isdisjoint(installation.registry.canaries.live("sql").plan["metrics"])


def tells(installation: Installation, routes: Any = None, guards: Any = None) -> None:
    """A router is alive, and tells what it serves."""
    policy = PolicyConfig.model_validate({"routes": routes or {}, "guards": guards or {}})
    served = served_of(policy, votes=True, pools=("default", "next"))
    beat = RouterBeat("router-0", installation.registry.generation(), datetime.now(UTC))
    installation.registry.beat(beat, served.as_json)


@pytest.mark.parametrize(
    ("arguments", "plan", "says"),
    [
        (["--pool", "nope"], "errors: {}", "There is no pool 'nope' (there are: default, next)"),
        (["sql@2"], "guards: {}", "metrics.guards will see nothing"),
        (["sql@2"], "schema: {}}, scope: {route: dessk", "names the route 'dessk'"),
    ],
)
def test_what_routers_do_not_serve_starts_nothing_where_no_file_tells(
    installation: Installation, arguments: list[str], plan: str, says: str
) -> None:
    tells(installation, {"desk": "sql"})
    file = installation.folder / "own.yaml"
    file.write_text(f"{{steps: [{{weight: 10}}], metrics: {{{plan}}}}}")
    result = run(installation, "start", *arguments, "--plan", str(file))
    assert result.exit_code > 1
    assert says in result.stderr
    assert not installation.registry.canaries.history()


def test_start_says_what_is_watched_by_what_routers_tell(installation: Installation) -> None:
    guards = {"json": {"kind": "schema", "schema": {"type": "object"}}}
    tells(installation, {"desk": {"model": "sql", "guards": ["json"]}}, guards)
    told = json.loads(run(installation, "start", "sql@2", "--json").output)
    assert told["sight"]["watched"]["schema"] == "answers of desk"
    assert set(told["sight"]["unseen"]) == {"guards", "refusals"}
    assert {"guards", "refusals"}.isdisjoint(installation.registry.canaries.live("sql").plan["metrics"])


def test_where_no_router_tells_what_is_served_start_says_so_and_refuses_no_route(installation: Installation) -> None:
    alive(installation)
    file = installation.folder / "own.yaml"
    file.write_text("{steps: [{weight: 10}], metrics: {schema: {most: 0.05}}, scope: desk}")
    result = run(installation, "start", "sql@2", "--plan", str(file))
    assert result.exit_code == 0, result.stderr
    assert "the running routers are of an older version and do not say which routes and guards they have" in " ".join(
        result.stdout.split()
    )
    assert json.loads(run(installation, "status", "--json").stdout)


def test_a_pool_that_no_replica_can_be_in_is_refused(installation: Installation) -> None:
    alive(installation)
    result = run(installation, "start", "--pool", "nope", **ROUTER)
    assert result.exit_code == 2
    assert "There is no pool 'nope' (there are: default, next)" in result.stderr
    assert json.loads(run(installation, "start", "--pool", "next", "--json", **ROUTER).stdout)["pool"] == "next"


def test_a_pool_that_was_rolled_back_needs_a_reason(installation: Installation) -> None:
    alive(installation)
    run(installation, "start", "--pool", "next", **ROUTER)
    canaries = installation.registry.canaries
    over = {"phase": "rolled_back", "ended_at": datetime.now(UTC)}
    canaries.change(canaries.live("next"), over, actor="canary", action="canary.rolled_back")
    refused = run(installation, "start", "--pool", "next", **ROUTER)
    assert refused.exit_code == 5
    assert "pool next was rolled back before" in refused.stderr
    again = run(installation, "start", "--pool", "next", "--why", "another image", "--json", **ROUTER)
    canaries.change(canaries.live("next"), {**over, "phase": "promoted"}, actor="ml", action="canary.promoted")
    assert again.exit_code == 0
    assert run(installation, "start", "--pool", "next", **ROUTER).exit_code == 0, "only the last one of a pool counts"


@pytest.mark.parametrize("command", ["status", "history", "watch", "abort"])
def test_a_name_that_nothing_has_is_not_found(installation: Installation, command: str) -> None:
    started(installation)
    result = run(installation, command, "sqll")
    assert result.exit_code == run(installation, "abort", "zz").exit_code > 1
    assert "sqll" in result.stderr


def test_status_of_an_adapter_without_a_canary_and_by_number(installation: Installation) -> None:
    assert "There is no canary of sql under way" in run(installation, "status", "sql").output
    canary = started(installation)
    for name in (str(canary.id), "sql", "sql@2"):
        assert [told["id"] for told in json.loads(run(installation, "status", name, "--json").output)] == [canary.id]


def test_a_revision_that_is_not_there_is_said_first(installation: Installation) -> None:
    started(installation)
    result = run(installation, "start", "sql@9")
    assert "sql has no revision 9" in result.stderr
    assert "has a canary already" not in result.stderr


def test_the_report_of_a_pool_is_in_a_folder_of_its_name(installation: Installation) -> None:
    tells(installation)
    run(installation, "start", "--pool", "next")
    run(installation, "report", "1", "--out", str(installation.folder))
    assert (installation.folder / "canary-1-pool-next" / "summary.md").exists()


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        (
            "{steps: [{wieght: 5}], metrics: {errors: {}}}",
            "own.yaml: unknown key 'steps.0.wieght' (did you mean 'weight'?).",
        ),
        ("{stepps: [{weight: 5}], metrics: {errors: {}}}", "own.yaml: unknown key 'stepps' (did you mean 'steps'?)."),
        (
            "{steps: [{weight: 5}], metrics: {error: {}}}",
            "own.yaml: 'metrics': there is no metric 'error' (did you mean 'errors'?).",
        ),
        ("{steps: [], metrics: {errors: {}}}", "own.yaml: 'steps': has 0 entries, and needs at least 1."),
        (
            "{steps: [{weight: 60}], metrics: {errors: {}}}",
            "'steps.0.weight': 60 is more than 50: at least half of the callers",
        ),
    ],
)
def test_a_plans_own_fault_is_all_that_is_said(installation: Installation, plan: str, says: str) -> None:
    alive(installation)
    file = installation.folder / "own.yaml"
    file.write_text(plan)
    result = run(installation, "start", "sql@2", "--plan", str(file))
    told = " ".join(result.stderr.split())
    assert "line 1, column " in told
    assert says in re.sub(r"line \d+, column \d+: ", "", told)
    assert "should have" not in told
    assert not installation.registry.canaries.history()


def test_status_says_that_nothing_has_come_yet(installation: Installation) -> None:
    assert "no canary under way" in run(installation, "status").output
    started(installation)
    [told] = json.loads(run(installation, "status", "--json").output)
    assert (told["phase"], told["weight"], told["requests"]) == ("running", 20.0, {"canary": 0, "others": 0})
    assert "no request has reached it yet" in told["says"]


def test_status_tells_of_a_canary_under_way_however_many_have_ended_since(installation: Installation) -> None:
    started(installation)
    canaries = installation.registry.canaries
    for number in range(101):
        over = canaries.start(CanaryDraft(adapter="", number=0, plan={}, actor="ml", pool=f"pool-{number}"))
        canaries.change(over, {"phase": "rolled_back"}, actor="ml", action="canary.abort")
    assert [told["revision"] for told in json.loads(run(installation, "status", "--json").output)] == ["sql@2"]


def test_status_history_and_replay_tell_the_same_of_a_rollback(installation: Installation) -> None:
    canary = judged(installation, started(installation), GOOD)
    assert canary.step == 1
    assert judged(installation, canary, BAD).phase == "rolling_back"
    [told] = json.loads(run(installation, "history", "sql", "--json").output)
    assert told["reason"].startswith("errors: 12 of the canary's 40 were bad")
    replay = run(installation, "replay", str(canary.id), "--json")
    assert replay.exit_code == 0
    assert [one["kind"] for one in json.loads(replay.output)] == ["step", "roll_back"]
    assert "bit for bit" in run(installation, "replay", str(canary.id)).output


def test_a_verdict_that_was_tampered_with_does_not_replay(installation: Installation) -> None:
    canary = judged(installation, judged(installation, started(installation), GOOD), BAD)
    canaries = installation.registry.canaries
    with canaries._database.write() as connection:  # noqa: SLF001 - what nobody may do
        connection.exec_driver_sql("UPDATE looks SET verdict = replace(verdict, '12', '13')")
    assert run(installation, "replay", str(canary.id)).exit_code == 1


def test_a_report_says_what_was_seen_and_what_it_cost(installation: Installation) -> None:
    canary = judged(installation, judged(installation, started(installation), GOOD), BAD)
    out = installation.folder / "reports"
    assert run(installation, "report", str(canary.id), "--out", str(out)).exit_code == 0
    text = (out / "canary-1-sql-2" / "summary.md").read_text()
    assert "| errors | 12 | 0 |" in text
    assert "**Decided by**: errors" in text
    assert json.loads((out / "canary-1-sql-2" / "summary.json").read_text())["requests"] == {
        "canary": 40,
        "others": 160,
    }
    plot = (out / "canary-1-sql-2" / "evidence.svg").read_text()
    assert "Evidence that it is worse" in plot
    assert ">40</text>" in plot, "its axis has the canary's 40 requests"


def test_the_report_of_a_promotion_shows_what_speaks_for_it(installation: Installation) -> None:
    """As the registry tells looks for a report: few of them, without the counts that they were taken by."""
    canary = started(installation)
    while canary.phase == "running":
        canary = judged(installation, canary, Counts(share=0.2, canary=100, other=400, bad={"errors": (1, 4)}))
    told = json.loads(run(installation, "report", "1", "--out", str(installation.folder), "--json").stdout)
    text = (Path(told["folder"]) / "summary.md").read_text()
    assert canary.phase == "promoting"
    assert re.search(r"^\| errors \| \d+ \| \d+ \| 0% \| 100% \|$", text, re.MULTILINE)


def test_status_or_a_new_leader_reads_what_is_older_than_the_last_look(installation: Installation) -> None:
    """Nobody can read the older looks and their counts any more, so whoever does fails."""
    canary = judged(installation, judged(installation, started(installation), GOOD), BAD)
    canaries = installation.registry.canaries
    told = run(installation, "status", "--json").stdout
    known = opened_ledger(canaries, canary.id, PLAN)
    assert (json.loads(told)[0]["requests"], canary.judged) == ({"canary": 40, "others": 160}, 3)
    with canaries._database.write() as connection:  # noqa: SLF001 - what nobody may do
        connection.exec_driver_sql("UPDATE looks SET verdict = 'gone' WHERE number < 3")
        connection.exec_driver_sql("UPDATE tallies SET counts = 'gone'")
    assert run(installation, "status", "--json").stdout == told
    assert opened_ledger(canaries, canary.id, PLAN) == known
    assert run(installation, "replay", str(canary.id)).exit_code > 0


def test_pause_resume_promote_and_abort_are_in_the_audit(installation: Installation) -> None:
    started(installation)
    for command, says in (
        ("pause", "stays at 20%"),
        ("resume", "The pause is over: sql@2 goes on at 20%"),
        ("abort", "gets no more requests"),
    ):
        result = run(installation, command, "sql", "--why", "a drill")
        assert says in result.output, result.stderr
    done = [one.action for one in installation.registry.audit(subject="sql")]
    assert {"canary.start", "canary.run", "canary.pause", "canary.resume", "canary.abort"} <= set(done)


def test_resume_says_what_it_did_and_opens_no_gate_that_is_not_reached(installation: Installation) -> None:
    alive(installation)
    file = installation.folder / "gated.yaml"
    file.write_text("{steps: [{weight: 5}, {weight: 50, gate: true}], metrics: {errors: {}}}")
    run(installation, "start", "sql@2", "--plan", str(file))
    canaries = installation.registry.canaries
    record = canaries.live("sql")
    assert record.rollout is not None
    installation.registry.flip(record.rollout)
    canaries.change(record, {"phase": "running", "weight": 5.0, "rollout": None}, actor="canary", action="canary.run")
    run(installation, "pause", "sql")
    assert "The gate before 50% stays closed." in run(installation, "resume", "sql").output
    again = run(installation, "resume", "sql")
    assert again.exit_code == 5
    assert "is not paused, and has not reached the gate before 50% yet" in again.stderr
    assert not canaries.live("sql").passed
    ahead = run(installation, "resume", "sql", "--gate")
    assert "The gate before 50% is open: sql@2 goes on to 50% once this step is over." in ahead.output


def test_watch_ends_with_the_canary_and_its_exit_code_says_how(installation: Installation) -> None:
    canary = judged(installation, judged(installation, started(installation), GOOD), BAD)
    installation.registry.canaries.change(
        canary, {"phase": "rolled_back", "ended_at": datetime.now(UTC)}, actor="canary", action="canary.rolled_back"
    )
    result = run(installation, "watch", str(canary.id))
    assert result.exit_code == 1
    assert run(installation, "watch", "sql").output == result.output, "who comes late sees how it went"
    assert "rolled back" in result.output
    assert "errors" in result.output
    [line] = run(installation, "watch", "sql", "--json").stdout.splitlines()
    assert json.loads(line)["phase"] == "rolled_back"
