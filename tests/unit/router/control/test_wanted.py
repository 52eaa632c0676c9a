from collections.abc import Collection
from dataclasses import replace

from patchbay.registry.records import AdapterSettings
from patchbay.router.canary.served import served_of
from patchbay.router.control.desired import GRACE_S, wanted_revisions
from patchbay.router.settings.config import PolicyConfig
from patchbay.router.settings.pinned import pinned_names
from tests.fakes.canary_records import canary_record
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


def pinned(*args: object, named: Collection[str], now_s: float = 0, **kwargs: object) -> dict[str, str]:
    found = wanted_revisions(
        snapshot(*args, **kwargs),  # type: ignore[arg-type]
        at(now_s),
        keep_warm_s=WARM_S,
        named=named,
    )
    return {one.name: one.why for one in found}


def test_what_a_route_pins_is_on_no_replica_before_and_after_a_promotion() -> None:
    named = ("sql@1", "sql@3", "sql", "label", "tiny/base", "label@77", "unknown@1")
    before = view("sql", 1), view("label", 1)
    assert pinned(*before, named=named) == {"sql@1": "stable", "label@1": "stable", "sql@3": "route"}
    after = view("sql", 3, previous=1, changed_s=0), view("label", 1)
    assert pinned(*after, named=named, now_s=WARM_S + 1)["sql@1"] == "route"
    assert pinned(*after, named=named)["sql@1"] == "route", "what a route asks is loaded, and not only kept warm"


def test_what_routes_splits_shadows_fallbacks_and_guards_ask_is_not_known() -> None:
    config = PolicyConfig.model_validate(
        {
            "routes": {
                "one": "sql@1",
                "two": {"split": [{"model": "sql@2"}, {"model": "sql"}], "fallbacks": ["tiny", "one"]},
                "three": {"model": "sql", "shadow": {"model": "sql@3", "share": 0.1}},
            },
            "guards": {"safe": {"kind": "llm", "model": "safety@4", "action": "block"}},
        }
    )
    reach = pinned_names(config, served_of(config, votes=True, pools=()))
    assert reach.models == {"sql@1", "sql@2", "sql@3", "safety@4", "sql", "tiny", "one"}


def test_a_canary_whose_channel_somebody_moved_is_dropped_by_replicas() -> None:
    tried = canary_record(at(0), weight=5.0, began_at=None, step_at=None)
    known = replace(snapshot(view("sql", 1, canary=3)), canaries=(tried,))
    found = {one.name: one.why for one in wanted_revisions(known, at(0), keep_warm_s=WARM_S)}
    assert found == {"sql@1": "stable", "sql@3": "canary", "sql@2": "canary"}
    ended = replace(known, canaries=(replace(tried, phase="rolled_back"),))
    assert "sql@2" not in {one.name for one in wanted_revisions(ended, at(0), keep_warm_s=WARM_S)}
