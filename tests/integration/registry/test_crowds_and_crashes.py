"""Many processes at once, and processes that are killed: nothing is lost, nothing is half done."""

import random
import subprocess
import sys
import time
from pathlib import Path

from sqlalchemy import text

from patchbay.adapters.artifacts.store import ArtifactStore
from patchbay.adapters.config import ArtifactsConfig
from patchbay.registry.database import Database
from patchbay.registry.registry import Registry

WORKERS, EACH = 4, 8
KILLS = 20


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.integration.registry.crowd", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def check_invariants(registry: Registry, name: str) -> None:
    numbers = [one.number for one in registry.revisions(name)]
    assert numbers == list(range(1, len(numbers) + 1)), "a number was lost, or used twice"
    moves = registry.history(name, "stable")
    record = registry.snapshot().adapters[name].channels.get("stable")
    if record is not None:
        assert [move.after for move in moves][-1] == record.number
        assert record.version == len(moves)
    before = [None, *(move.after for move in moves)]
    assert [move.before for move in moves] == before[:-1], "a move is missing from the history"
    live = [one.draft.digest for one in registry.revisions(name) if one.retired_at is None]
    assert len(live) == len(set(live)), "two revisions have the same bytes"


def test_many_processes_that_push_and_promote_at_once_lose_nothing_and_agree(url: str) -> None:
    Registry.open(url).close()
    workers = [start("push", url, str(worker), str(EACH)) for worker in range(1, WORKERS + 1)]
    for worker in workers:
        _, errors = worker.communicate(timeout=120)
        assert worker.returncode == 0, errors
    with Registry.open(url) as registry:
        assert len(registry.revisions("shared")) == WORKERS * EACH
        check_invariants(registry, "shared")
        assert sum(entry.action == "push" for entry in registry.audit(limit=1000)) == WORKERS * EACH
        ended = registry.rollouts("shared", limit=1000)
        assert {rollout.state for rollout in ended} <= {"done", "superseded", "failed"}
        assert sum(rollout.state == "done" for rollout in ended) == len(registry.history("shared", "stable"))


def test_processes_that_open_a_new_registry_at_once_make_it_once(url: str) -> None:
    workers = [start("push", url, str(worker), "1") for worker in range(1, 4)]
    for worker in workers:
        _, errors = worker.communicate(timeout=60)
        assert worker.returncode == 0, errors
    with Registry.open(url) as registry:
        assert len(registry.revisions("shared")) == 3


def test_a_push_that_is_killed_at_any_point_leaves_no_half_artifact_and_a_rerun_completes_it(
    url: str, tmp_path: Path
) -> None:
    choose = random.Random(7)  # noqa: S311 - for variety, not for secrets
    turn = 1
    for _ in range(KILLS // 2):
        worker = start("publish", url, str(tmp_path), str(turn))
        assert worker.stdout is not None
        # After one to three pushes have begun, and then at any point of the next few.
        for _ in range(choose.randint(1, 3)):
            assert worker.stdout.readline(), "it did not begin"
        time.sleep(choose.uniform(0, 0.15))
        worker.kill()
        turn += len(worker.communicate()[0].split())
    with Registry.open(url) as registry:
        check_invariants(registry, "sql")
        store = ArtifactStore.open(ArtifactsConfig(url=str(tmp_path / "artifacts")))
        assert all(store.verify(sha256) for sha256, _ in store.hashes())
        for revision in registry.revisions("sql"):
            assert all(store.has(file.sha256) for file in revision.draft.files), "a revision whose files are not there"
    if url.startswith("sqlite"):
        database = Database(url)
        with database.read() as connection:
            assert connection.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"
        database.close()
    rerun = start("publish", url, str(tmp_path), str(turn))
    assert rerun.stdout is not None
    assert [rerun.stdout.readline().strip() for _ in range(2)] == [str(turn), str(turn + 1)]
    rerun.kill()
    rerun.communicate()
