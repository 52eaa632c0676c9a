from patchbay.registry.records import AdapterSettings
from patchbay.router.control.desired import DesiredRevision, wanted_revisions
from patchbay.router.control.plan import Failure, make_plan, place
from tests.unit.router.control.build import BASE, at, here, name, rollout, snapshot, status, view


def wanted(*views: object, **kwargs: object) -> tuple[DesiredRevision, ...]:
    return wanted_revisions(snapshot(*views, **kwargs), at(0), keep_warm_s=600)  # type: ignore[arg-type]


def puts(plan: object) -> dict[str, bool]:
    return {put.wanted.name: put.load for put in plan.puts}  # type: ignore[attr-defined]


def test_what_is_missing_is_put_and_loaded_and_what_nobody_wants_is_dropped() -> None:
    plan = make_plan(wanted(view("sql", 2)), status(here("sql", 1), here("old", 3)), {}, 0)
    assert puts(plan) == {"sql@2": True}
    assert plan.drops == ("sql@1", "old@3")


def test_nothing_is_asked_where_all_is_well_or_under_way() -> None:
    for state in ("resident", "declared", "staging", "loading", "draining"):
        plan = make_plan(wanted(view("sql", 2)), status(here("sql", 2, state)), {}, 0)
        assert (plan.puts, plan.drops) == ((), ()), state


def test_what_is_draining_already_is_not_dropped_again() -> None:
    assert make_plan((), status(here("sql", 1, "draining")), {}, 0).drops == ()


def test_only_as_many_as_fit_are_loaded_ahead_and_those_without_preload_never() -> None:
    lazy = view("lazy", 1, settings=AdapterSettings(preload=False))
    plan = make_plan(wanted(view("a", 1), view("b", 1), view("c", 1), lazy), status(cpu=2), {}, 0)
    assert puts(plan) == {"a@1": True, "b@1": True, "c@1": False, "lazy@1": False}


def test_a_rollout_has_its_revision_loaded_even_where_its_files_are_there() -> None:
    plan = make_plan(wanted(view("sql", 1), rollouts=(rollout("sql", 2),)), status(here("sql", 2, "declared")), {}, 0)
    assert puts(plan) == {"sql@2": True, "sql@1": True}


def test_a_revision_of_another_base_model_is_neither_put_nor_kept() -> None:
    other = view("sql", 2, base="0" * 64)
    assert make_plan(wanted(other), status(), {}, 0).puts == ()
    assert make_plan(wanted(other), status(here("sql", 2)), {}, 0).drops == ("sql@2",)
    assert puts(make_plan(wanted(view("sql", 2, base=None)), status(base=BASE), {}, 0)) == {"sql@2": True}


def test_other_bytes_under_the_same_number_are_dropped_before_the_right_ones_are_put() -> None:
    impostor = here("sql", 2).model_copy(update={"engine_name": "sql@2-000000000000"})
    plan = make_plan(wanted(view("sql", 2)), status(impostor), {}, 0)
    assert (plan.puts, plan.drops) == ((), ("sql@2",))


def test_what_failed_is_asked_again_later_and_later_and_a_final_no_only_each_minute() -> None:
    def asked(count: int, seconds: float, *, final: bool = False) -> bool:
        failures = {name("sql", 2): Failure("no", count, 0, final)}
        return bool(make_plan(wanted(view("sql", 2)), status(), failures, seconds).puts)

    assert [asked(1, 1), asked(1, 3), asked(3, 7), asked(3, 9)] == [False, True, False, True]
    assert [asked(1, 30, final=True), asked(1, 61, final=True), asked(99, 61)] == [False, True, True]


def test_a_changed_pin_is_told_to_the_replica() -> None:
    pinned = view("sql", 2, settings=AdapterSettings(pin=True))
    assert puts(make_plan(wanted(pinned), status(here("sql", 2)), {}, 0)) == {"sql@2": False}
    assert make_plan(wanted(pinned), status(here("sql", 2, pin=True)), {}, 0).puts == ()


def test_placements_say_honestly_how_each_stands_and_why() -> None:
    views = [view(adapter, 1) for adapter in ("here", "disk", "fetching", "broken", "refused", "unseen")]
    told = status(
        here("here", 1), here("disk", 1, "declared"), here("fetching", 1, "staging"), here("broken", 1, "failed")
    )
    failures = {name("refused", 1): Failure("the gate says no", 1, 0, True)}
    found = {one.adapter: (one.state, one.reason) for one in place(wanted(*views), "r0", told, failures)}
    assert found == {
        "here": ("resident", None),
        "disk": ("staged", None),
        "fetching": ("pending", None),
        "broken": ("failed", "it is broken"),
        "refused": ("failed", "the gate says no"),
        "unseen": ("pending", None),
    }
