import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from patchbay.router.fleet.fleet import Fleet
from patchbay.router.fleet.snapshot import Naming
from tests.unit.router.build import ours, rev

pytestmark = pytest.mark.anyio


async def test_a_new_load_does_not_rebuild_the_names_and_the_list() -> None:
    fleet = Fleet([ours("a", rev("sql@1"))], created=1)
    before = fleet.view
    fleet.put(replace(fleet.get("a"), load=7))
    assert fleet.view.table is before.table
    assert fleet.view.listing is before.listing
    assert fleet.get("a").load == 7


async def test_a_revision_that_is_loaded_or_evicted_rebuilds_the_names_of_all() -> None:
    fleet = Fleet([ours("a", rev("sql@1"), rev("json@1", "declared"))], created=1)
    before = fleet.view
    fleet.put(ours("a", rev("sql@1", "declared"), rev("json@1", "loading")))
    assert fleet.view.table is before.table
    fleet.put(ours("a", rev("sql@1", "failed"), rev("json@1")))
    assert fleet.view.table is not before.table


async def test_a_revision_that_a_replica_still_fetches_is_known_and_not_asked_of_it() -> None:
    """It answers with 503 until it has it: a replica that was started again fetches one after the other."""
    fleet = Fleet([ours("a", rev("sql@1", "staging")), ours("b", rev("sql@1"))], created=1)
    assert fleet.view.table["sql"].replicas == ("b",)
    assert [fleet.holds(name, fleet.view.table["sql"]) for name in ("a", "b", "c")] == [False, True, False]
    fleet.put(ours("b"))
    assert not fleet.view.table["sql"].replicas
    fleet.put(ours("a", rev("sql@1")))
    assert fleet.view.table["sql"].replicas == ("a",)


async def test_a_view_that_a_request_holds_does_not_change_under_it() -> None:
    fleet = Fleet([ours("a", rev("sql@1"))], created=1)
    held = fleet.view
    fleet.put(ours("a", rev("sql@2")))
    assert held.table["sql"].revision == "sql@1"
    assert fleet.view.table["sql"].revision == "sql@2"


async def test_an_unreachable_replica_is_out_at_once_and_looked_at_again() -> None:
    fleet = Fleet([ours("a"), ours("b")], created=1)
    fleet.mark_unready("a", "refused")
    assert fleet.view.ready == 1
    assert fleet.get("a").reason == "refused"
    assert fleet.doubts["a"].is_set()
    assert not fleet.doubts["b"].is_set()


async def test_an_address_that_goes_to_another_pool_is_not_taken_for_the_replica_that_had_it() -> None:
    fleet = Fleet([ours("10.0.0.7:9001")], created=1)
    now = replace(ours("10.0.0.7:9001", state="unready"), pool="canary", reserved=True)
    fleet.put_members([now])
    assert fleet.get("10.0.0.7:9001") == now


async def test_a_reserved_replica_alone_does_not_make_a_router_ready() -> None:
    fleet = Fleet([replace(ours("a"), pool="canary", reserved=True)], created=1)
    assert fleet.view.ready == 0


def stable(number: int) -> Naming:
    return Naming({"sql": rev(f"sql@{number}").engine_name})


async def test_a_name_that_moves_before_its_new_revision_was_seen_keeps_its_meaning_until_then() -> None:
    fleet = Fleet([ours("a", rev("sql@1"))], created=1)
    fleet.put_naming(stable(1))
    fleet.put_naming(stable(2))
    assert fleet.view.table["sql"].revision == "sql@1"
    assert fleet.behind
    assert fleet.doubts["a"].is_set()
    fleet.put(ours("a", rev("sql@1"), rev("sql@2")))
    assert fleet.view.table["sql"].revision == "sql@2"
    assert not fleet.behind


async def test_a_name_whose_old_revision_is_gone_too_is_not_kept_alive() -> None:
    fleet = Fleet([ours("a", rev("sql@1"))], created=1)
    fleet.put_naming(stable(1))
    fleet.put_naming(stable(2))
    fleet.put(ours("a"))
    assert not fleet.view.table["sql"].replicas
    assert not fleet.behind


async def test_a_name_that_is_emptied_means_nothing_at_once() -> None:
    fleet = Fleet([ours("a", rev("sql@1"))], created=1)
    fleet.put_naming(stable(1))
    fleet.put_naming(Naming({"sql": None}))
    assert "sql" not in fleet.view.table


async def test_names_are_waited_for_only_where_no_other_replica_was_ready_and_only_so_long() -> None:
    now = [100.0]
    fleet = Fleet([ours("a", state="unready"), ours("b", state="unready")], created=1, clock=lambda: now[0])
    fleet.put(ours("a"))
    assert not fleet.gathering, "nobody gives replicas their revisions"
    fleet.follow_control()
    assert fleet.gathering
    fleet.settle()
    fleet.put(ours("b"))
    assert not fleet.gathering, "another was ready all the time"
    fleet.mark_unready("a", "gone")
    fleet.mark_unready("b", "gone")
    fleet.put(ours("b"))
    assert fleet.gathering
    now[0] += 5
    assert not fleet.gathering


async def test_who_waits_for_a_change_is_woken_by_each_and_by_no_other_end() -> None:
    fleet = Fleet([ours("a", state="unready")], created=0)
    changes: list[Callable[[], None]] = [lambda: fleet.put(ours("a")), fleet.settle, lambda: fleet.put_members([])]
    for change in changes:
        waiting = asyncio.create_task(fleet.changed(60))
        await asyncio.sleep(0)
        assert not waiting.done()
        change()
        await waiting
    await fleet.changed(0)


async def test_who_stops_waiting_for_a_change_leaves_nothing_behind() -> None:
    fleet = Fleet([ours("a")], created=0)
    waiting = asyncio.create_task(fleet.changed(60))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    fleet.settle()
    assert waiting.cancelled()
