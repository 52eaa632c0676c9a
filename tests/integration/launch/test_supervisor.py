"""`supervise` over real processes: all come up, come back when they die, and end in order."""

import asyncio
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.fakes.launch_run import is_listening, port_of, process, supervised

pytestmark = pytest.mark.anyio


async def test_it_is_ready_when_every_process_is(tmp_path: Path) -> None:
    processes = process("replica-0", "--refuse-first", "2"), process("replica-1"), process("router")
    async with supervised(tmp_path, *processes) as run:
        await run.event("ready")
        seen = [(event["event"], event.get("process")) for event in run.events]
        assert {("process_ready", one["name"]) for one in processes} <= set(seen[: seen.index(("ready", None))])
        assert ("progress", "replica-0") in seen


async def test_an_interrupt_ends_the_router_first_and_leaves_nothing(tmp_path: Path) -> None:
    processes = process("replica-0", "--grandchildren"), process("replica-1"), process("router", "--drain-s", "0.3")
    async with supervised(tmp_path, *processes) as run:
        await run.event("ready")
        assert len(run.processes()) == 6
        run.up.send_signal(signal.SIGINT)
        assert await run.end() == 0
        assert run.processes() == []
        assert not any(is_listening(port_of(one)) for one in processes)
        stopped = [event["process"] for event in run.events if event["event"] == "stopped"]
        assert stopped[0] == "router"
        assert sorted(stopped) == ["replica-0", "replica-1", "router"]
        await run.event("ended", exit_code=0)


async def test_sigterm_while_starting_ends_cleanly(tmp_path: Path) -> None:
    async with supervised(tmp_path, process("replica-0", "--ready-after", "-1"), process("router")) as run:
        await run.event("progress", process="replica-0")
        run.up.send_signal(signal.SIGTERM)
        assert await run.end() == 0
        assert run.processes() == []


async def test_a_killed_replica_comes_back_and_leaves_no_orphans(tmp_path: Path) -> None:
    async with supervised(tmp_path, process("replica-0", "--grandchildren"), process("router")) as run:
        await run.event("ready")
        before = [int(line.rpartition(" ")[2]) for line in run.log if "grandchild" in line]
        assert len(before) == 2
        replica = (await run.event("starting", process="replica-0"))["pid"]
        psutil.Process(replica).kill()
        died = await run.event("died", process="replica-0")
        assert died["how"] == "was ended by SIGKILL"
        assert died["left_behind"] >= 1
        assert not any(psutil.pid_exists(pid) for pid in before)
        await run.event("restarted", process="replica-0")
        assert len(run.processes()) == 5
        assert (await run.event("starting", process="replica-0", attempt=2))["pid"] != replica


async def test_a_killed_replicas_shared_memory_is_freed(tmp_path: Path) -> None:
    async with supervised(tmp_path, process("replica-0", "--shared-memory")) as run:
        await run.event("ready")
        segment = (await run.line("memory ")).rpartition(" ")[2]
        assert segment in _shared_memory()
        psutil.Process((await run.event("starting"))["pid"]).kill()
        await run.event("restarted")
        assert segment not in _shared_memory()


async def test_a_router_that_dies_comes_back(tmp_path: Path) -> None:
    router = process("router", "--die-after", "0.5", "--once", str(tmp_path / "died"))
    async with supervised(tmp_path, process("replica-0"), router) as run:
        await run.event("ready")
        await run.event("restarted", process="router")


async def test_a_process_that_says_that_it_is_dead_is_replaced(tmp_path: Path) -> None:
    """Its engine is gone, it sleeps on, and SIGTERM does nothing to it."""
    dead = process(
        "replica-0",
        *("--dead-after", "0.2", "--ignore-sigterm", "--once", str(tmp_path / "died")),
        restart={"first_delay_s": 0.1, "dead_s": 0.5, "silent_s": 600},
    )
    async with supervised(tmp_path, dead, process("router")) as run:
        await run.event("ready")
        assert (await run.event("unhealthy", process="replica-0"))["why"] == "said for 0.5 s that it is dead"
        assert (await run.event("died", process="replica-0"))["how"] == "said for 0.5 s that it is dead"
        await run.event("restarted", process="replica-0")
        assert not [event for event in run.events if event.get("process") == "router" and event["event"] == "died"]


@pytest.mark.parametrize("name", ["replica-0", "router"])
async def test_a_process_that_says_nothing_is_replaced(tmp_path: Path, name: str) -> None:
    still = process(
        name,
        *("--silent-after", "0.5", "--once", str(tmp_path / "stood-still")),
        restart={"first_delay_s": 0.1, "silent_s": 2, "dead_s": 600},
    )
    async with supervised(tmp_path, still) as run:
        await run.event("ready")
        assert "nothing of its health for 2 s" in (await run.event("died", process=name))["how"]
        await run.event("restarted", process=name)


async def test_a_process_that_is_busy_for_some_seconds_lives_on(tmp_path: Path) -> None:
    busy = process("replica-0", "--silent-after", "0.5", "--silent-for", "3", restart={"silent_s": 30, "dead_s": 1})
    async with supervised(tmp_path, busy) as run:
        await run.event("ready")
        await asyncio.sleep(4)
        run.up.send_signal(signal.SIGINT)
        assert await run.end() == 0
        assert [event for event in run.events if event["event"] in ("unhealthy", "died")] == []


async def test_a_process_that_is_to_end_is_not_judged_by_its_health(tmp_path: Path) -> None:
    ending = process("replica-0", *("--dead-after", "0", "--drain-s", "3"), restart={"dead_s": 2, "silent_s": 2})
    async with supervised(tmp_path, ending) as run:
        await run.event("ready")
        run.up.send_signal(signal.SIGINT)
        assert await run.end() == 0
        assert not (await run.event("stopped"))["killed"]
        assert [event for event in run.events if event["event"] == "unhealthy"] == []


async def test_a_start_error_ends_everything_with_its_line(tmp_path: Path) -> None:
    failing = process("replica-1", "--fail-with", "error: The base 'nope' does not exist.")
    began = time.monotonic()
    async with supervised(tmp_path, process("replica-0", "--ready-after", "-1"), failing, process("router")) as run:
        assert await run.end() == 1
        assert time.monotonic() - began < 5
        failed = await run.event("failed")
        assert failed["error"] == "replica-1: The base 'nope' does not exist."
        assert [event for event in run.events if event["event"] == "died"] == []
        assert run.processes() == []


async def test_a_program_that_cannot_be_executed_is_a_start_error(tmp_path: Path) -> None:
    broken = process("replica-0", argv=[str(tmp_path / "nothing"), "--port", "1"])
    async with supervised(tmp_path, broken, process("router")) as run:
        assert await run.end() == 1
        assert "No such file" in (await run.event("failed"))["error"]


async def test_a_crash_before_ready_is_tried_again_but_not_for_ever(tmp_path: Path) -> None:
    crashing = process("replica-0", "--fail-by", str(int(signal.SIGSEGV)), restart={"first_delay_s": 0.05})
    async with supervised(tmp_path, crashing) as run:
        assert await run.end() == 1
        assert "was ended by SIGSEGV before it was ready, 3 times" in (await run.event("failed"))["error"]


async def test_one_crash_before_ready_is_forgiven(tmp_path: Path) -> None:
    crashing = process("replica-0", "--fail-by", str(int(signal.SIGSEGV)), "--once", str(tmp_path / "crashed"))
    async with supervised(tmp_path, crashing) as run:
        await run.event("ready")


async def test_a_start_that_takes_too_long_is_an_error(tmp_path: Path) -> None:
    async with supervised(tmp_path, process("replica-0", "--ready-after", "-1", start_timeout_s=1.0)) as run:
        assert await run.end() == 1
        assert "was not ready after 1 s" in (await run.event("failed"))["error"]


async def test_what_ignores_sigterm_is_killed_at_its_deadline(tmp_path: Path) -> None:
    stubborn = process("replica-0", "--ignore-sigterm", "--grandchildren", stop_timeout_s=0.5)
    async with supervised(tmp_path, stubborn, process("router")) as run:
        await run.event("ready")
        run.up.send_signal(signal.SIGINT)
        assert await run.end() == 0
        assert (await run.event("stopped", process="replica-0"))["killed"]
        assert run.processes() == []


async def test_a_second_interrupt_kills_at_once(tmp_path: Path) -> None:
    stubborn = process("replica-0", "--ignore-sigterm"), process("router", "--ignore-sigterm")
    async with supervised(tmp_path, *stubborn) as run:
        await run.event("ready")
        run.up.send_signal(signal.SIGINT)
        await run.line("router    | asked to stop")
        run.up.send_signal(signal.SIGINT)
        assert await run.end() == 130
        assert run.processes() == []


async def test_its_own_sudden_death_ends_its_children(tmp_path: Path) -> None:
    stubborn = process("replica-0", "--ignore-sigterm"), process("router", "--drain-s", "60")
    async with supervised(tmp_path, *stubborn) as run:
        await run.event("ready")
        children = [one for one in run.processes() if one.pid != run.up.pid]
        run.up.kill()
        _, alive = await asyncio.to_thread(psutil.wait_procs, children, timeout=5)
        assert alive == []


async def test_logs_come_whole_and_with_a_name(tmp_path: Path) -> None:
    size = 300_000
    processes = (
        process("replica-0", "--chatter", "2000", "--say", "[bold]not markup[/bold] [/]", "--huge-line", str(size)),
        process("replica-1", "--chatter", "2000"),
        process("router", "--say", "über"),
    )
    async with supervised(tmp_path, *processes, as_json=False) as run:
        await run.line("router is ready")
        await run.line("replica-0 is ready")
        await run.line("replica-1 is ready")
        run.up.send_signal(signal.SIGINT)
        assert await run.end() == 0
        lines = run.output
    assert "replica-0 | [bold]not markup[/bold] [/]" in lines
    assert "router    | über" in lines
    assert "replica-0 | " + "h" * size in lines
    for name in ("replica-0", "replica-1"):
        expected = {f"{name} | line {number} " + "x" * 80 for number in range(2000)}
        assert expected <= set(lines)
    assert all(line.split(" | ")[0].strip() in {"replica-0", "replica-1", "router", "patchbay"} for line in lines)


async def test_a_reader_that_goes_away_stops_nothing(tmp_path: Path) -> None:
    async with supervised(tmp_path, process("replica-0"), process("router")) as run:
        await run.event("ready")
        transport = run.up._transport  # type: ignore[attr-defined]  # noqa: SLF001 - the only way to close a pipe early
        for descriptor in (1, 2):
            transport.get_pipe_transport(descriptor).close()
        replica = next(one for one in run.processes() if "replica" not in one.name() and one.pid != run.up.pid)
        replica.kill()
        await asyncio.to_thread(replica.wait, 5)
        run.up.send_signal(signal.SIGINT)
        assert await run.end() == 0


def _shared_memory() -> set[str]:
    return {segment.name for segment in Path("/dev/shm").iterdir()}
