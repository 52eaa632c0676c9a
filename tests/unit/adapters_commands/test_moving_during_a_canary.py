"""`promote`, `rollback` and `clear` while a canary is under way: it is promoted by that, or it ends, with words."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from patchbay.adapters.commands.app import app
from patchbay.core.errors import Conflict
from patchbay.registry.canary_decisions import give_way
from patchbay.registry.canary_records import CanaryDraft, CanaryRecord
from patchbay.registry.records import ChannelChange, RouterBeat
from patchbay.router.canary.plan import ready_plans
from tests.fakes.installation import Installation

ROOT = Path(__file__).parent.parent.parent.parent


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with Installation.at(tmp_path) as made:
        for number in (1, 2, 3):
            made.push("sql", number)
        made.lifecycle.promote("sql@1", actor="ml", now=True)
        made.lifecycle.promote("sql@3", actor="ml", now=True)
        yield made


def canary_of(installation: Installation, number: int = 2) -> CanaryRecord:
    plan = ready_plans()["careful"].model_dump(mode="json")
    return installation.registry.canaries.start(CanaryDraft(adapter="sql", number=number, plan=plan, actor="ml"))


def config(installation: Installation) -> str:
    url, file = installation.settings.url.get_secret_value(), installation.folder / "patchbay.yaml"
    file.write_text(f"registry: {{url: '{url}', artifacts: {{url: '{installation.folder / 'artifacts'}'}}}}\n")
    return str(file)


def run(installation: Installation, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--config", config(installation)])


def stable(installation: Installation) -> int | None:
    return installation.registry.snapshot().adapters["sql"].number("stable")


@pytest.mark.parametrize(
    ("command", "says", "now"),
    [
        (("promote", "sql@1"), "promoted sql@1", 1),
        (("rollback", "sql"), "rolled back to sql@1", 1),
        (("clear", "sql", "--channel", "stable"), "cleared it", None),
    ],
)
def test_a_canary_of_another_revision_ends_and_both_sides_are_told_why(
    installation: Installation, command: tuple[str, ...], says: str, now: int | None
) -> None:
    canary = canary_of(installation)
    result = run(installation, *command)
    assert result.exit_code == 0, result.stderr
    assert "The canary 1 of sql@2 (pending, 0% of callers) ends with this" in result.stderr
    ended = installation.registry.canaries.get(canary.id)
    assert ended.phase == "failed"
    assert ended.reason.startswith("'stable' was moved meanwhile")
    assert ended.reason.endswith(says)
    assert ended.ended_at is not None
    assert stable(installation) == now
    assert installation.registry.snapshot().adapters["sql"].number("canary") is None


@pytest.mark.parametrize("command", [("rollback", "new"), ("promote", "new@2"), ("clear", "new")])
def test_a_move_that_cannot_be_made_ends_no_canary(installation: Installation, command: tuple[str, ...]) -> None:
    for number in (1, 2, 3):
        installation.push("new", number)
    installation.lifecycle.promote("new@1", actor="ml", now=True)
    installation.registry.retire("new", 2, actor="ml")
    plan = ready_plans()["careful"].model_dump(mode="json")
    canary = installation.registry.canaries.start(CanaryDraft(adapter="new", number=3, plan=plan, actor="ml"))
    result = run(installation, *command)
    assert result.exit_code == 5
    assert "ends with this" not in result.stderr
    assert installation.registry.canaries.get(canary.id) == canary


def test_a_canary_ends_only_together_with_the_move(installation: Installation) -> None:
    canary, registry = canary_of(installation), installation.registry
    ending = give_way(canary, actor="ml", cause="a move", at=registry.clock())
    change = ChannelChange(adapter="sql", number=1, channel="stable", actor="ml")
    with pytest.raises(Conflict, match="somebody else has moved it"):
        registry.move(change, expected=2, ending=ending)
    assert registry.canaries.get(canary.id) == canary
    registry.move(change, expected=3, ending=ending)
    assert registry.canaries.get(canary.id).phase == "failed"


def test_what_is_stable_already_is_promoted_without_an_end_of_the_canary(installation: Installation) -> None:
    canary = canary_of(installation)
    result = run(installation, "promote", "sql@3")
    assert (result.exit_code, "ends with this" in result.stderr) == (0, False)
    assert installation.registry.canaries.get(canary.id) == canary


def test_a_canary_of_the_same_revision_is_promoted_by_it(installation: Installation) -> None:
    canary = canary_of(installation)
    result = run(installation, "promote", "sql@2", "--why", "seen enough")
    assert "is promoted by this" in result.stderr
    ended = installation.registry.canaries.get(canary.id)
    assert (ended.phase, ended.verdict, stable(installation)) == ("promoted", 1, 2)
    assert ended.reason.endswith("seen enough")


def test_with_routers_alive_the_canary_itself_carries_the_promotion_out(installation: Installation) -> None:
    canary = canary_of(installation)
    installation.registry.beat(RouterBeat("router-0", installation.registry.generation(), datetime.now(UTC)))
    moved = installation.lifecycle.promote("sql@2", actor="ml")
    after = installation.registry.canaries.get(canary.id)
    assert after.phase == "promoting"
    assert moved.rollout is not None
    assert moved.rollout.id == after.rollout
    assert stable(installation) == 3, "it is staged and tested first"
    again = installation.lifecycle.promote("sql@2", actor="ml").rollout
    assert again is not None
    assert again.id == after.rollout


@pytest.mark.parametrize("number", [1, 2])
def test_a_canarys_own_channel_is_nobody_elses(installation: Installation, number: int) -> None:
    canary = canary_of(installation)
    with pytest.raises(Conflict, match="The channel 'canary' belongs to canary"):
        installation.lifecycle.promote(f"sql@{number}", "canary", actor="ml", now=True)
    with pytest.raises(Conflict, match="The channel 'canary' belongs to canary"):
        installation.lifecycle.clear("sql", "canary", actor="ml")
    assert installation.registry.canaries.get(canary.id).phase == "pending"


def test_other_adapters_and_pools_of_the_same_name_are_left_alone(installation: Installation) -> None:
    plan = ready_plans()["careful"].model_dump(mode="json")
    pool = installation.registry.canaries.start(CanaryDraft(adapter="", number=0, plan=plan, actor="ml", pool="sql"))
    assert run(installation, "promote", "sql@1").stderr == ""
    assert installation.registry.canaries.get(pool.id).live


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_promotion_that_is_ended_while_it_waits_says_that_it_goes_on(
    installation: Installation, number: signal.Signals, code: int
) -> None:
    registry = installation.registry
    registry.beat(RouterBeat("router-0", registry.generation(), datetime.now(UTC) + timedelta(minutes=1)))
    command = [sys.executable, "-m", "patchbay", "adapters", "promote", "sql@2", "--config", config(installation)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, text=True) as process:
        deadline = time.monotonic() + 60
        while not (found := [one for one in registry.rollouts("sql") if one.number == 2]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        registry.advance(found[0].id, "staging", reason="no ready replica")
        assert process.stdout is not None
        assert "staging: no ready replica" in process.stdout.readline()
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
    assert process.returncode == code
    said = " ".join(told.split())
    assert "The rollout of sql@2 goes on in the routers" in said
    stop = said.partition("To stop it: patchbay adapters ")[2]
    assert stop == "promote sql@3"
    assert registry.rollout(found[0].id).state == "staging"
    assert run(installation, *stop.split()).exit_code == 0
    assert registry.rollout(found[0].id).state == "superseded"


@pytest.mark.parametrize(("answer", "code", "phase"), [("n\n", 1, "pending"), ("y\n", 0, "failed")])
def test_whoever_sits_at_a_terminal_is_asked_first(
    installation: Installation, answer: str, code: int, phase: str
) -> None:
    canary = canary_of(installation)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "patchbay", "adapters", "promote", "sql@1", "--config", config(installation)]
    process = subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    os.write(ours, answer.encode())
    _, told = process.communicate(timeout=60)
    for end in (ours, theirs):
        os.close(end)
    assert process.returncode == code
    assert "Go on?" in told.decode()
    assert installation.registry.canaries.get(canary.id).phase == phase
