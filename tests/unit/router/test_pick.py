from dataclasses import replace
from typing import Any

import msgspec

from patchbay.core.replica import Tier
from patchbay.router.balance.pick import Query, Weights, pick
from patchbay.router.fleet.snapshot import Replica, Target
from patchbay.router.http.body import Prompt
from tests.unit.router.build import ours

BASE = Target(label="base", engine_name="base", revision=None, replicas=("a", "b", "c"))
SQL = Target(label="sql", engine_name="sql@1-aa", revision="sql@1", replicas=("a", "b", "c"))
LOAD_ONLY = Weights(residency=0, prefix=0, queue=1, kv=0)


def name_of(replica: Replica | None) -> str | None:
    return replica.name if replica else None


def holding(name: str, tier: Tier) -> Replica:
    return replace(ours(name), tiers={"sql@1-aa": tier})


def chat(*turns: tuple[str, str]) -> Prompt:
    messages: list[dict[str, Any]] = [{"role": role, "content": text} for role, text in turns]
    return Prompt(text=msgspec.Raw(msgspec.json.encode(messages)))


def test_the_replica_with_the_fewest_requests_is_picked() -> None:
    assert name_of(pick([ours("a"), ours("b")], Query(target=BASE), {"a": 2, "b": 1}, LOAD_ONLY)) == "b"


def test_what_other_routers_have_there_counts_too() -> None:
    replicas = [replace(ours("a"), elsewhere=3), ours("b")]
    assert name_of(pick(replicas, Query(target=BASE), {"b": 2}, LOAD_ONLY)) == "b"


def test_equal_replicas_take_turns() -> None:
    replicas = [ours("a"), ours("b"), ours("c")]
    assert {name_of(pick(replicas, Query(target=BASE, turn=turn), {}, LOAD_ONLY)) for turn in range(3)} == {
        "a",
        "b",
        "c",
    }


def test_replicas_that_are_unready_draining_tried_or_lack_the_model_are_never_picked() -> None:
    replicas = [ours("a", state="unready"), ours("b", state="draining"), ours("c"), ours("d")]
    assert pick(replicas, Query(target=BASE, tried={"c"}), {}) is None


def test_a_replica_that_holds_the_revision_goes_before_one_that_would_have_to_load_it() -> None:
    replicas = [holding("a", "disk"), holding("b", "cpu"), holding("c", "slot")]
    assert name_of(pick(replicas, Query(target=SQL), {"c": 1, "b": 1, "a": 1}, Weights(prefix=0))) == "c"
    assert name_of(pick(replicas[:2], Query(target=SQL), {}, Weights(prefix=0))) == "b"


def test_a_hot_adapter_spills_over_where_its_replica_has_more_than_its_share() -> None:
    replicas = [holding("a", "disk"), holding("b", "slot")]
    assert name_of(pick(replicas, Query(target=SQL), {"b": 9})) == "a"


def test_a_cold_revision_goes_to_one_home_whoever_asks() -> None:
    replicas = [ours("a"), ours("b"), ours("c")]
    picked = {
        name_of(pick(order, Query(target=SQL, turn=turn), {}, Weights(prefix=0)))
        for order in (replicas, replicas[::-1])
        for turn in range(3)
    }
    assert len(picked) == 1


def test_turns_of_a_conversation_meet_where_its_beginning_is_cached() -> None:
    replicas = [ours("a"), ours("b"), ours("c")]
    homes = set()
    for number in range(30):
        first = [("system", "You help."), ("user", f"question {number} " + "x" * 3000)]
        later = [*first, ("assistant", "an answer"), ("user", "and then?")]
        home = pick(replicas, Query(target=BASE, prompt=chat(*first), turn=number), {})
        assert pick(replicas, Query(target=BASE, prompt=chat(*later), turn=number + 1), {}) == home
        homes.add(name_of(home))
    assert homes == {"a", "b", "c"}


def test_texts_and_token_ids_that_begin_alike_meet_too() -> None:
    replicas = [ours("a"), ours("b"), ours("c")]
    for text in (b'"' + b"once upon a time " * 40, b"[" + b"101,202,303," * 60):
        picked = {
            name_of(pick(replicas, Query(target=BASE, prompt=Prompt(text=msgspec.Raw(text + end)), turn=turn), {}))
            for turn, end in enumerate((b'"' if text[:1] == b'"' else b"1]", b' more"' if text[:1] == b'"' else b"7]"))
        }
        assert len(picked) == 1


def test_a_full_kv_cache_turns_requests_away_to_an_emptier_one() -> None:
    replicas = [replace(ours("a"), kv_use=0.95), replace(ours("b"), kv_use=0.1)]
    assert name_of(pick(replicas, Query(target=BASE), {"b": 1, "a": 1}, Weights(prefix=0))) == "b"


def test_a_reserved_pool_is_asked_only_by_name() -> None:
    held = replace(ours("a"), pool="canary", reserved=True)
    replicas = [held, replace(ours("b"), pool="stable"), replace(ours("c"), pool="next")]
    for pool, able in ((None, {"b", "c"}), ("!next", {"b"}), ("canary", {"a"}), ("!canary", {"b", "c"})):
        assert {
            name_of(pick(replicas, Query(target=BASE, pool=pool, turn=turn), {}, LOAD_ONLY)) for turn in range(4)
        } == able
