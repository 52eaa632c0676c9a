"""Removals that nobody asked for are held back, and a registry that has forgotten is not believed."""

from dataclasses import replace

from patchbay.registry.records import Access, Snapshot
from patchbay.router.control.removals import held_back, loss_of
from tests.unit.router.control.build import here, move, snapshot, status, view


def test_an_empty_wish_that_nobody_made_removes_nothing() -> None:
    one = status(here("sql", 1))
    assert held_back(("sql@1",), one, snapshot(), kept=0) == ("sql@1",)
    assert held_back(("sql@1",), one, snapshot(view("sql", None)), kept=0) == ("sql@1",)


def test_what_a_channel_was_moved_from_goes_even_where_it_is_the_last() -> None:
    one = status(here("sql", 1))
    assert held_back(("sql@1",), one, snapshot(view("sql", 2)), kept=0) == ()
    assert held_back(("sql@1",), one, snapshot(view("sql", None, previous=1)), kept=0) == ()
    cleared = snapshot(view("sql", None), recent=(move("sql", 1, 2, at_s=0),))
    assert held_back(("sql@1",), one, cleared, kept=0) == ()


def test_many_at_once_are_held_back_and_a_few_are_not() -> None:
    many = status(*(here(f"a{number}", 1) for number in range(9)))
    gone = tuple(f"a{number}@1" for number in range(8))
    assert held_back(gone, many, snapshot(view("a8", 1)), kept=1) == gone
    assert held_back(gone[:3], many, snapshot(view("a8", 1)), kept=6) == ()


def test_a_registry_that_has_lost_all_its_keys_or_adapters_is_not_taken() -> None:
    before = snapshot(view("sql", 1))
    keyed = replace(before, access=Access(keyed=True))
    assert loss_of(Snapshot(generation=-1, adapters={}), before) is None
    assert loss_of(before, keyed) is None
    assert "no key" in (loss_of(keyed, before) or "")
    assert "no adapter" in (loss_of(before, snapshot()) or "")
