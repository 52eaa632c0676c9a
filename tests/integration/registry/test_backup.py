"""Backups hold all that was committed, and come back whole; nothing that lives is replaced."""

import fcntl
import json
import multiprocessing
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from patchbay.command import build_app
from patchbay.core.tenancy import Limits
from patchbay.registry.records import Placement, ReplicaReport, RouterBeat, Scope
from patchbay.registry.registry import Registry
from patchbay.registry.responses import KeepTerms, ResponseDraft
from tests.fakes.installation import Installation

WRITES = 60


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATCHBAY_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("PATCHBAY_REGISTRY", raising=False)
    monkeypatch.delenv("PATCHBAY_ARTIFACTS", raising=False)
    with Installation.at(tmp_path) as made:
        yield made


def run(*arguments: str) -> Result:
    return CliRunner().invoke(build_app(), arguments)


def said(*arguments: str) -> Any:
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def state(folder: Path) -> tuple[list[int], int]:
    with Registry.open(f"sqlite:///{folder / 'registry.db'}") as registry:
        snapshot = registry.snapshot()
        return [one.number for one in registry.revisions("sql")], snapshot.generation


def write_on(folder: str, begun: Any, over: Any) -> None:
    with Registry.open(f"sqlite:///{Path(folder) / 'registry.db'}") as registry:
        for number in range(1, 10_000):
            registry.record("writer", "count", "writes", {"number": number})
            if number == WRITES:
                begun.set()
            if over.is_set():
                return


def test_a_backup_made_while_somebody_writes_has_what_was_committed_before_it_and_is_whole(
    installation: Installation,
) -> None:
    # Copying registry.db alone misses the log: 10 of 10 such copies were empty or old.
    installation.push(fill=1)
    context = multiprocessing.get_context("spawn")
    begun, over = context.Event(), context.Event()
    writer = context.Process(target=write_on, args=(str(installation.folder), begun, over))
    writer.start()
    try:
        assert begun.wait(60)
        (last,) = installation.registry.audit(subject="writes", limit=1)
        made = said("backup", "saved")
    finally:
        over.set()
        writer.join()
    with closing(sqlite3.connect(installation.folder / "saved" / "registry.db")) as copy:
        numbers = [
            json.loads(row[0])["number"] for row in copy.execute("SELECT details FROM audit WHERE action='count'")
        ]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= last.details["number"] >= WRITES
    assert made["missing"] == []
    assert sorted(path.name for path in (installation.folder / "saved").iterdir()) == [
        "artifacts",
        "manifest.json",
        "registry.db",
    ]
    assert stat.S_IMODE((installation.folder / "saved").stat().st_mode) == 0o700
    assert stat.S_IMODE((installation.folder / "saved" / "registry.db").stat().st_mode) == 0o600


@pytest.mark.parametrize("how", [(), ("--copy",)])
def test_what_is_lost_altogether_comes_back(installation: Installation, how: tuple[str, ...]) -> None:
    installation.push(fill=1)
    installation.push(fill=2)
    before = state(installation.folder)
    made = said("backup", "saved", *how)
    links = {path.stat().st_nlink for path in Path("saved/artifacts").rglob("*") if path.is_file()}
    assert links == ({1} if how else {2})
    installation.registry.close()
    for path in installation.folder.glob("registry.db*"):
        path.unlink()
    shutil.rmtree(installation.folder / "artifacts")
    assert said("restore", "saved")["artifacts"] == made["artifacts"]
    assert state(installation.folder) == before
    assert run("adapters", "verify", "sql").exit_code == 0
    with Registry.open(f"sqlite:///{installation.folder / 'registry.db'}") as registry:
        assert registry.audit(limit=1)[0].action == "restore"


def test_a_registry_that_is_there_is_replaced_only_by_force_and_nothing_of_its_log_gets_into_the_new_one(
    installation: Installation,
) -> None:
    installation.push(fill=1)
    before = state(installation.folder)
    said("backup", "saved")
    installation.push(fill=2)
    refused = run("restore", "saved")
    assert (refused.exit_code, "--force" in refused.output) == (5, True)
    # A log that was left by a kill.
    wal = (installation.folder / "registry.db-wal").read_bytes()
    assert wal
    installation.registry.close()
    (installation.folder / "registry.db-wal").write_bytes(wal)
    assert said("restore", "saved", "--force")["database"]["generation"] == before[1]
    assert state(installation.folder) == before


def test_nothing_is_restored_under_a_router_that_lives_or_an_up_that_has_the_data_directory(
    installation: Installation,
) -> None:
    installation.push(fill=1)
    said("backup", "saved")
    installation.push(fill=2)
    after = state(installation.folder)
    with (installation.folder / "up.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = run("restore", "saved", "--force")
        assert refused.exit_code == 1
        assert "in use by" in refused.output
    installation.registry.beat(RouterBeat("router-a", 1, datetime.now(UTC)))
    refused = run("restore", "saved", "--force")
    assert (refused.exit_code, "router-a" in refused.output) == (5, True)
    assert state(installation.folder) == after


@pytest.mark.parametrize("damage", ["database", "artifact", "manifest", "cut"])
def test_a_damaged_backup_replaces_nothing(installation: Installation, damage: str) -> None:
    installation.push(fill=1)
    said("backup", "saved", "--copy")
    saved = installation.folder / "saved"
    if damage == "manifest":
        (saved / "manifest.json").unlink()
    elif damage == "cut":
        (saved / "registry.db").write_bytes((saved / "registry.db").read_bytes()[:-4096])
    else:
        files = [path for path in (saved / "artifacts").rglob("*") if path.is_file()]
        file = saved / "registry.db" if damage == "database" else files[0]
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    installation.push(fill=2)
    before = state(installation.folder)
    assert run("restore", "saved", "--force").exit_code in (1, 2)
    assert state(installation.folder) == before


def test_an_artifact_that_the_store_has_lost_is_said_and_the_rest_is_saved(installation: Installation) -> None:
    installation.push(fill=1)
    whole = said("backup", "whole")
    lost = whole["artifacts"][0]
    (installation.folder / "artifacts" / "sha256" / lost[:2] / lost).unlink()
    done = run("backup", "saved")
    assert done.exit_code == 1
    manifest = json.loads((installation.folder / "saved" / "manifest.json").read_text())
    assert manifest["missing"] == [lost]
    assert len(manifest["artifacts"]) == len(whole["artifacts"]) - 1


def test_a_backup_goes_into_a_new_folder_only(installation: Installation) -> None:
    (installation.folder / "saved").mkdir()
    (installation.folder / "saved" / "mine.txt").write_text("mine")
    assert run("backup", "saved").exit_code == 2
    assert (installation.folder / "saved" / "mine.txt").read_text() == "mine"


def test_a_postgresql_registry_is_left_to_its_own_tools_and_its_artifacts_are_saved(
    installation: Installation, postgres: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATCHBAY_REGISTRY", postgres.new_database())
    refused = run("backup", "saved")
    assert (refused.exit_code, "pg_dump" in refused.output) == (2, True)
    made = said("backup", "saved", "--artifacts-only")
    assert (made["database"], made["artifacts"]) == (None, [])
    assert said("restore", "saved")["database"] is None


def test_a_store_that_is_no_folder_is_not_saved_and_that_is_said(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATCHBAY_ARTIFACTS", "memory://artifacts")
    done = run("backup", "saved")
    assert done.exit_code == 0, done.output
    assert "memory://artifacts, not saved here" in " ".join(done.output.split())
    assert run("backup", "other", "--artifacts-only").exit_code == 2


def test_what_operations_say_of_backups_runs_as_it_stands(installation: Installation) -> None:
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
    section = page.partition("## Backups\n")[2].partition("\n## ")[0]
    commands = [line for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL) for line in block.splitlines()]
    assert [line.split()[:2] for line in commands] == [
        ["patchbay", "backup"],
        ["patchbay", "restore"],
        ["patchbay", "registry"],
    ]
    installation.push(fill=1)
    before = state(installation.folder)
    for line in commands:
        done = run(*line.split()[1:])
        assert done.exit_code == 0, f"{line}: {done.output}"
    assert state(installation.folder) == before


def test_a_restore_that_is_killed_at_any_durable_step_leaves_the_old_registry_or_the_new_one(
    installation: Installation,
) -> None:
    installation.push(fill=1)
    saved = state(installation.folder)
    said("backup", "saved")
    installation.push(fill=2)
    now = state(installation.folder)
    installation.registry.close()
    shutil.copytree(installation.folder / "artifacts", "artifacts-kept")
    Path("registry.db").rename("kept.db")
    found, step, ended = set(), 0, False
    while not ended:
        step += 1
        shutil.copy("kept.db", "registry.db")
        shutil.rmtree("artifacts")
        shutil.copytree("artifacts-kept", "artifacts")
        command = [sys.executable, "-m", "tests.integration.registry.dying_restore", "saved", str(step)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=_from_here())
        ended = "ended 0" in done.stdout
        assert ended or done.returncode == -9, done.stdout + done.stderr
        after = state(installation.folder)
        assert after in (saved, now)
        found.add("new" if after == saved else "old")
    assert found == {"old", "new"}
    assert step > 8


def _from_here() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}


def protected(installation: Installation) -> str:
    """A tenant with a key; the key's id."""
    accounts = installation.registry.accounts
    accounts.create_tenant("acme", tier="default", limits=Limits(), actor="ml")
    return accounts.create_key("acme", Scope(), actor="ml")[0].id


def test_a_backup_from_before_the_first_key_is_put_back_only_by_who_accepts_that(installation: Installation) -> None:
    said("backup", "saved")
    protected(installation)
    installation.registry.close()
    refused = run("restore", "saved", "--force")
    assert (refused.exit_code, "no keys" in refused.output, "--accept" in refused.output) == (5, True, True)
    with Registry.open(f"sqlite:///{installation.folder / 'registry.db'}") as registry:
        assert len(registry.accounts.keys()) == 1
    done = run("restore", "saved", "--force", "--accept")
    assert (done.exit_code, "no keys" in done.stderr) == (0, True)


def test_where_nobody_can_tell_whether_a_lost_registry_had_keys_a_backup_without_any_is_refused(
    installation: Installation,
) -> None:
    said("backup", "saved")
    installation.registry.close()
    (installation.folder / "registry.db").unlink()
    assert run("restore", "saved").exit_code == 5
    assert run("restore", "saved", "--accept").exit_code == 0


def test_revocations_disabled_tenants_and_limits_are_not_dropped_without_a_word(installation: Installation) -> None:
    key = protected(installation)
    said("backup", "saved")
    accounts = installation.registry.accounts
    accounts.revoke_key(key, actor="ml")
    accounts.set_tenant("acme", disabled=True, limits=Limits(concurrent=1), actor="ml")
    installation.registry.close()
    refused = run("restore", "saved", "--force")
    assert refused.exit_code == 5
    assert all(words in refused.output for words in (key, "disabled since", "own limits"))
    assert said("restore", "saved", "--force", "--accept")["missing"] == []


def test_what_replicas_held_when_the_backup_was_made_is_not_taken_for_what_they_hold(
    installation: Installation,
) -> None:
    revision = installation.push(fill=1)
    placed = (Placement(replica="replica-0", adapter="sql", number=revision.number, state="resident"),)
    report = ReplicaReport(
        name="replica-0", base=None, ready=True, slots=1, cpu=1, usage={}, placements=placed, seen_at=datetime.now(UTC)
    )
    installation.registry.put_report(report)
    said("backup", "saved")
    installation.registry.close()
    said("restore", "saved", "--force")
    assert said("adapters", "list")["replicas"] == []
    installation = Installation(installation.folder, installation.settings, 8)
    installation.registry.put_report(report)
    assert "no router" in run("adapters", "list").stderr
    installation.registry.beat(RouterBeat("router-a", 1, datetime.now(UTC)))
    assert "no router" not in run("adapters", "list").stderr
    installation.registry.close()


@pytest.mark.parametrize("asked", [False, True])
def test_what_people_wrote_is_saved_only_where_that_is_asked_for(
    tmp_path: Path, installation: Installation, asked: bool
) -> None:
    text = b"something-nobody-should-read" * 500
    kept = ResponseDraft(tenant="acme", id="resp_1", model="sql", response=b"{}", output=b"[]", input=b'["%b"]' % text)
    installation.registry.responses.keep(lambda: [kept], KeepTerms(keep_for=timedelta(days=1), most_bytes=10**6))
    made = said("backup", "b", *(["--responses"] if asked else []))
    assert made["database"]["responses"] == asked
    assert (b"something-nobody" in (tmp_path / "b" / "registry.db").read_bytes()) == asked
    installation.registry.responses.delete("acme", "resp_1")
    installation.registry.close()
    done = run("restore", "b", "--force")
    assert done.exit_code == 0, done.output
    assert ("deleted since" in done.stderr) == asked
    with Registry.open(f"sqlite:///{tmp_path / 'registry.db'}") as registry:
        assert (registry.responses.find("acme", "resp_1") is not None) == asked
