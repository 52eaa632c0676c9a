from adapters.registry.records import AdapterSettings
from router.control.wanted import GRACE_S, wanted_revisions
from tests.unit.router.control.build import at, move, rollout, snapshot, view

WARM_S = 600.0


def names(*args: object, now_s: float = 0, **kwargs: object) -> dict[str, str]:
    found = wanted_revisions(snapshot(*args, **kwargs), at(now_s), keep_warm_s=WARM_S)  # type: ignore[arg-type]
    return {one.name: one.why for one in found}


def test_what_channels_mean_is_wanted_and_nothing_else() -> None:
    assert names(view("sql", 3, canary=4), view("label", 1), view("empty", None)) == {
        "sql@3": "stable",
        "sql@4": "canary",
        "label@1": "stable",
    }


def test_the_revision_that_a_rollback_goes_to_stays_warm_for_its_time_and_no_longer() -> None:
    sql = view("sql", 3, previous=2, changed_s=0)
    assert names(sql, now_s=WARM_S - 1) == {"sql@3": "stable", "sql@2": "warm"}
    assert names(sql, now_s=WARM_S + 1) == {"sql@3": "stable"}


def test_what_a_channel_has_just_left_stays_until_every_router_knows() -> None:
    sql, left = view("sql", 3), (move("sql", 1, 3, at_s=0),)
    assert names(sql, recent=left, now_s=GRACE_S / 2) == {"sql@3": "stable", "sql@1": "warm"}
    assert names(sql, recent=left, now_s=GRACE_S + 1) == {"sql@3": "stable"}


def test_what_is_rolled_out_comes_first_and_a_retired_revision_not_at_all() -> None:
    found = names(view("sql", 3), view("label", 1), rollouts=(rollout("label", 2), rollout("sql", 9)))
    assert list(found) == ["label@2", "sql@3", "label@1"] or list(found) == ["label@2", "label@1", "sql@3"]


def test_an_adapters_own_settings_go_with_it() -> None:
    sql = view("sql", 1, settings=AdapterSettings(preload=False, pin=True))
    (one,) = wanted_revisions(snapshot(sql), at(0), keep_warm_s=WARM_S)
    assert (one.settings.preload, one.settings.pin) == (False, True)
