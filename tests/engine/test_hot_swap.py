"""Swaps on the real engine, under load: none may be noticed by a request, and none may leave anything behind."""

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from loadtests.swaps import Kind, Swaps
from patchbay.adapters.config import ArtifactsConfig
from patchbay.tuning.demo.build import ARTIFACTS
from tests.engine.conftest import TOKEN, Stack, free_ports, router_process
from tests.fakes.artifacts import stored

pytestmark = pytest.mark.engine
SWAPS = 50
CYCLES = 200


@contextmanager
def second_router(stack: Stack, folder: Path) -> Iterator[str]:
    """Another router in front of the same replica, with the same registry, in a process of its own."""
    port, admin_port = free_ports(2)
    settings = stack.registry_settings
    config = {
        "name": "second",
        "port": port,
        "admin_port": admin_port,
        "admin_open": True,
        "replicas": [{"url": stack.replica_url, "token": TOKEN, "name": "replica-0"}],
        "registry": {"url": settings.url.get_secret_value(), "artifacts": {"url": settings.artifacts.url}},
    }
    with router_process(folder, config) as url:
        yield url


@pytest.mark.timeout(600)
def test_fifty_swaps_under_load_fail_no_request_and_mix_no_answer_on_two_routers(
    stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = [Kind(ARTIFACTS / "adapters" / name, name) for name in ("sql", "json")]
    with second_router(stack, tmp_path) as other, httpx.Client(base_url=stack.admin_url, timeout=60) as admin:
        run = Swaps([stack.url, other], admin, kinds, watched="style")
        report = run.run(swaps=SWAPS, every_s=0.5, rollbacks=5, clients=3)
    with capsys.disabled():
        sys.stdout.write(f"\n{report}\n")
    seen = (*report.examples, str(stack.status()), *stack.logs[-99:])
    assert (report.failed, report.mixed) == (0, 0), "\n".join(seen)
    assert report.swaps == SWAPS
    assert report.revisions > SWAPS / 2, "the load hardly ever met a new revision"
    stack.withdraw("swapped")


def resident_bytes(stack: Stack) -> int:
    """The memory of the replica's processes that is theirs alone, which is what a leak would add to."""
    replica = next(p for p in psutil.process_iter() if _is_replica_of(p, stack))
    return sum(process.memory_full_info().uss for process in (replica, *replica.children(recursive=True)))


def _is_replica_of(process: psutil.Process, stack: Stack) -> bool:
    try:
        line = process.cmdline()
        return "patchbay.server" in line and process.ppid() == stack.process.pid
    except psutil.Error:
        return False


@pytest.mark.timeout(600)
def test_two_hundred_revisions_loaded_and_unloaded_leave_no_memory_behind(
    stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "cycled"
    shutil.copytree(stack.models.adapters["sql"], folder)
    store = Path(ArtifactsConfig(url=stack.registry_settings.artifacts.url).url)
    after: dict[int, int] = {}
    with stack.replica() as replica:
        for cycle in range(1, CYCLES + 1):
            (folder / "note.txt").write_text(str(cycle))
            described: dict[str, Any] = {"revision": cycle, **stored(store, folder)}
            put = replica.put("/internal/adapters/cycled", json=described)
            # The reconciler, which wants no such adapter, may remove it before we do.
            assert (put.status_code, put.json()["load_seconds"] is not None) == (200, True), put.text
            assert replica.delete(f"/internal/adapters/cycled@{cycle}").status_code in (200, 404)
            if cycle in (20, CYCLES):
                time.sleep(2)
                after[cycle] = resident_bytes(stack)
    with capsys.disabled():
        mib = {count: f"{taken / 2**20:.1f} MiB" for count, taken in after.items()}
        sys.stdout.write(f"\nresident after so many cycles: {mib}\n")
    assert after[CYCLES] <= 1.05 * after[20]
