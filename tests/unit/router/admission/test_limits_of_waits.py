"""Limits of the wait for a turn, and the figures by which it is estimated."""

import asyncio
from dataclasses import replace

import pytest

from patchbay.core.errors import RateLimited, Unavailable
from patchbay.core.replica import ReplicaStatus
from patchbay.router.admission.admission import LEAST_PATIENCE_S
from patchbay.router.admission.config import AdmissionConfig
from patchbay.router.fleet.snapshot import Replica
from tests.fakes.timeless import timeless
from tests.unit.router.admission.desk import Desk, on_a_timeless_loop, settled, status
from tests.unit.router.build import ours, plain


@on_a_timeless_loop
async def test_who_waits_for_too_long_is_told_when_to_come_again() -> None:
    desk = Desk(AdmissionConfig(wait_timeout_s=7))
    await desk.enter()
    with pytest.raises(Unavailable) as refused:
        await desk.enter()
    assert str(refused.value) == "This request has waited too long for its turn."
    # Nobody waits any more, so the next turn is expected at once: in a second, since it is told in whole ones.
    assert (desk.passed_s, refused.value.retry_after_s, desk.admission.waiting) == (7.0, 1, 0)


@on_a_timeless_loop
async def test_a_tenant_may_let_as_many_wait_as_its_tier_says() -> None:
    desk = Desk()
    await desk.enter()
    waiting = [desk.queue("t"), desk.queue("t"), desk.queue("u")]
    await settled()
    with pytest.raises(RateLimited) as refused:
        await desk.enter("t", most=2)
    assert str(refused.value) == "Too many of your requests wait already; the next turn is expected in 40 s."
    assert refused.value.retry_after_s == 40
    more = asyncio.create_task(desk.enter("t", most=3))
    await settled()
    assert not any(one.done() for one in [*waiting, more])


@on_a_timeless_loop
async def test_no_more_wait_in_all_than_the_configuration_says() -> None:
    desk = Desk(AdmissionConfig(max_waiting=2))
    await desk.enter()
    waiting = [desk.queue("t"), desk.queue("u")]
    await settled()
    with pytest.raises(Unavailable) as refused:
        await desk.enter("v")
    assert str(refused.value) == "Too many requests wait already; the next turn is expected in 30 s."
    assert (refused.value.retry_after_s, desk.admission.waiting) == (30, len(waiting))


@on_a_timeless_loop
async def test_the_wait_is_estimated_by_the_turns_of_the_last_ten_seconds() -> None:
    desk = Desk()
    assert desk.admission.expected_wait_s() == 0.0
    desk.statuses["r"] = status(most=8)
    desk.replicas = (ours("r"),)
    turns = [await desk.enter() for _ in range(8)]
    waiting = [desk.queue() for _ in range(7)]
    await settled()
    assert desk.admission.expected_wait_s() == 8 * 10 / 1
    for turn in turns[:2]:
        turn.done(1)
    await settled()
    assert sum(one.done() for one in waiting) == 2
    assert desk.admission.expected_wait_s() == 6 * 10 / 2
    await asyncio.sleep(9.75)
    turns[2].done(1)
    await settled()
    assert desk.admission.expected_wait_s() == pytest.approx(5 * 10 / 3)
    await asyncio.sleep(0.5)
    assert desk.admission.expected_wait_s() == pytest.approx(5 * 10 / 1)


@on_a_timeless_loop
async def test_no_more_than_some_thousand_ends_are_kept_for_the_estimate() -> None:
    desk = Desk()
    turn, waiting = await desk.enter(), desk.queue()
    await settled()
    for count, kept in ((4096, 4096), (1, 2049)):
        for _ in range(count):
            desk.admission.ended(desk.request().waiting, None, 0, 0.0)
        assert desk.admission.expected_wait_s() == 2 * 10 / kept
    assert not turn.ended
    assert not waiting.done()


@pytest.mark.parametrize(
    ("config", "took_s", "patience_s"),
    [
        (AdmissionConfig(patience_s=3), [], 3.0),
        (AdmissionConfig(), [], 8.0),
        (AdmissionConfig(patience_turns=2), [], 2.0),
        # The mean of turns moves by a fiftieth of what differs: from 1 s to 3 s by one of 101 s.
        (AdmissionConfig(patience_turns=2), [101.0], 6.0),
        (AdmissionConfig(patience_turns=0.01), [], LEAST_PATIENCE_S),
    ],
)
def test_an_open_slot_takes_no_more_when_another_revision_has_waited_for_its_patience(
    config: AdmissionConfig, took_s: list[float], patience_s: float
) -> None:
    async def run() -> None:
        desk = Desk(config, statuses={"r": status(most=10, slots=1)})
        for seconds in took_s:
            desk.admission.ended(desk.request().waiting, None, 1, seconds)
            desk.admission.ended(desk.request().waiting, None, 0, 9999.0)
        held = await desk.enter("t", "a")
        other = desk.queue("u", "b")
        await asyncio.sleep(patience_s - 0.01)
        joined = desk.queue("v", "a")
        await settled()
        assert joined.done()
        await asyncio.sleep(0.02)
        late = desk.queue("w", "a")
        await settled()
        assert not late.done()
        assert not other.done()
        held.done(1)
        joined.result().done(1)
        await settled()
        assert other.done()

    timeless(run)


@pytest.mark.parametrize(
    ("replica", "known", "per_replica", "room"),
    [
        (ours("r"), status(most=3), None, 3),
        (ours("r"), status(most=3), 2, 2),
        (ours("r"), status(most=3), 5, 5),
        (ours("r"), status(most=None), None, 20),
        (ours("r"), None, None, 20),
        (ours("r"), None, 4, 4),
        (plain("r", "base"), status(most=3), None, 20),
        (plain("r", "base"), status(most=3), 4, 4),
    ],
)
def test_a_replica_gets_as_many_as_it_tells_or_as_the_configuration_says(
    replica: Replica, known: ReplicaStatus | None, per_replica: int | None, room: int
) -> None:
    async def run() -> None:
        desk = Desk(
            AdmissionConfig(per_replica=per_replica), [replica], statuses={"r": known} if known is not None else {}
        )
        turns = [desk.admission.spare(desk.request()) for _ in range(20)]
        assert sum(turn is not None for turn in turns) == room

    timeless(run)


@pytest.mark.parametrize(("known", "slots"), [(status(slots=2), 2), (status(slots=3), 3), (None, 6)])
def test_a_replica_of_ours_gets_as_many_revisions_as_it_has_slots(known: ReplicaStatus | None, slots: int) -> None:
    async def run() -> None:
        desk = Desk(statuses={"r": known} if known is not None else {})
        turns = [desk.admission.spare(desk.request(revision=revision)) for revision in "abcdef"]
        assert sum(turn is not None for turn in turns) == slots

    timeless(run)


def test_what_other_routers_have_at_a_replica_takes_room() -> None:
    async def run(name: str, known: dict[str, ReplicaStatus]) -> int:
        desk = Desk(AdmissionConfig(per_replica=8), [replace(ours(name), elsewhere=3)], statuses=known)
        return sum(desk.admission.spare(desk.request()) is not None for _ in range(10))

    assert timeless(lambda: run("r", {})) == 5
    assert timeless(lambda: run("r", {"r": status()})) == 5


@on_a_timeless_loop
async def test_the_mean_length_of_answers_follows_each_by_a_fiftieth() -> None:
    desk = Desk()
    assert desk.admission.answer_tokens == 64.0
    desk.admission.answered(114)
    assert desk.admission.answer_tokens == 65.0


@on_a_timeless_loop
async def test_a_turn_is_charged_what_was_used_and_not_what_was_expected() -> None:
    desk = Desk(statuses={"r": status(most=2)})
    costly, cheap = await desk.enter("costly"), await desk.enter("cheap")
    later = {name: desk.queue(name) for name in ("costly", "cheap")}
    await settled()
    costly.done(500)
    await settled()
    # Both expected 10. The one that has used more goes last.
    assert (later["cheap"].done(), later["costly"].done()) == (True, False)
    cheap.done(1)
    await settled()
    assert later["costly"].done()


def test_the_limits_that_nobody_sets_are_those_of_the_documentation() -> None:
    config = AdmissionConfig()
    told = (config.max_waiting, config.wait_timeout_s, config.per_replica, config.patience_s, config.patience_turns)
    assert told == (4096, 120, None, None, 8)


@pytest.mark.parametrize(
    ("key", "least", "below"),
    [
        ("max_waiting", 0, -1),
        ("per_replica", 1, 0),
        ("wait_timeout_s", 0.001, 0),
        ("patience_s", 0.001, 0),
        ("patience_turns", 0.001, 0),
    ],
)
def test_a_limit_below_the_least_is_refused(key: str, least: float, below: float) -> None:
    assert getattr(AdmissionConfig.model_validate({key: least}), key) == least
    with pytest.raises(ValueError, match=key):
        AdmissionConfig.model_validate({key: below})
