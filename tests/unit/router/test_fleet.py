from dataclasses import replace

import pytest

from router.fleet import Fleet
from tests.unit.router.build import ours, rev

pytestmark = pytest.mark.anyio


async def test_a_new_load_does_not_rebuild_the_names_and_the_list() -> None:
    fleet = Fleet([ours("a", rev("sql@1"))], created=1)
    before = fleet.view
    fleet.put(replace(fleet.get("a"), load=7))
    assert fleet.view.table is before.table
    assert fleet.view.listing is before.listing
    assert fleet.get("a").load == 7


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
