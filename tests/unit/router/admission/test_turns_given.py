"""The waiting for a turn: who gets one when, and how a wait ends."""

import asyncio

from patchbay.router.admission.admission import LOOK_S
from tests.unit.router.admission.desk import Desk, on_a_timeless_loop, settled, status
from tests.unit.router.build import ours


@on_a_timeless_loop
async def test_a_free_replica_is_had_at_once() -> None:
    desk = Desk()
    turn = await desk.enter()
    assert (turn.first, turn.queued, turn.ended) == ("r", False, False)
    assert (desk.passed_s, desk.admission.waiting) == (0.0, 0)


@on_a_timeless_loop
async def test_who_waits_gets_the_turn_that_ends_in_the_order_of_arrival() -> None:
    desk = Desk()
    first = await desk.enter()
    second, third = desk.queue(), desk.queue()
    await settled()
    assert (desk.admission.waiting, second.done(), third.done()) == (2, False, False)
    first.done(10)
    await settled()
    assert (second.done(), third.done(), desk.admission.waiting) == (True, False, 1)
    turn = second.result()
    assert (turn.first, turn.queued, turn.ended) == ("r", True, False)
    turn.done(10)
    assert turn.ended
    assert (await third).queued
    assert desk.passed_s == 0.0


@on_a_timeless_loop
async def test_a_turn_ends_once_however_often_that_is_said() -> None:
    desk = Desk()
    first = await desk.enter()
    waiting = [desk.queue() for _ in range(3)]
    await settled()
    first.done(10)
    first.done(10)
    await settled()
    assert [one.done() for one in waiting] == [True, False, False]
    first.at("elsewhere")
    await settled()
    assert [one.done() for one in waiting] == [True, False, False]


@on_a_timeless_loop
async def test_a_newcomer_does_not_overtake_who_waits() -> None:
    desk = Desk(replicas=(ours("r"), ours("s")), statuses={"r": status(1), "s": status(1)})
    await desk.enter()
    waiting = desk.queue()
    await settled()
    desk.serving = ("s",)
    assert desk.admission.spare(desk.request()) is None
    other = await desk.enter("u")
    assert (other.first, other.queued) == ("s", True)
    assert not waiting.done()


@on_a_timeless_loop
async def test_a_spare_turn_is_one_that_is_free_at_once() -> None:
    desk = Desk()
    turn = desk.admission.spare(desk.request())
    assert turn is not None
    assert (turn.first, turn.queued) == ("r", False)
    assert desk.admission.spare(desk.request()) is None
    turn.done(0)
    assert desk.admission.spare(desk.request()) is not None


@on_a_timeless_loop
async def test_without_a_replica_that_may_be_asked_a_turn_without_one_is_given_at_once() -> None:
    desk = Desk(banned={"r"})
    turn = await desk.enter()
    assert (turn.first, turn.queued) == (None, False)
    turn.done(0)
    desk.banned.clear()
    desk.replicas = (ours("r", state="unready"),)
    assert (await desk.enter()).first is None
    desk.replicas = (ours("r"),)
    desk.serving = ("other",)
    assert (await desk.enter()).first is None
    assert desk.passed_s == 0.0


@on_a_timeless_loop
async def test_a_turn_without_a_replica_takes_room_where_the_request_is_asked_in_the_end() -> None:
    desk = Desk(banned={"r"})
    turn = await desk.enter()
    desk.banned.clear()
    turn.at("r")
    turn.at("r")
    assert desk.admission.spare(desk.request()) is None
    turn.done(5)
    assert desk.admission.spare(desk.request()) is not None


@on_a_timeless_loop
async def test_a_request_that_goes_on_elsewhere_leaves_its_room_to_the_next() -> None:
    desk = Desk(replicas=(ours("r"), ours("s")), statuses={"r": status(1), "s": status(1)})
    turn = await desk.enter()
    waiting = desk.queue()
    await settled()
    assert not waiting.done()
    turn.at("s")
    await settled()
    assert waiting.result().first == "r"
    desk.serving = ("s",)
    blocked = desk.queue()
    await settled()
    assert not blocked.done()
    turn.done(1)
    await settled()
    assert blocked.result().first == "s"


@on_a_timeless_loop
async def test_who_leaves_the_queue_gets_no_turn() -> None:
    desk = Desk()
    turn = await desk.enter()
    gone, next_one = desk.queue(), desk.queue()
    await settled()
    gone.cancel()
    await settled()
    assert desk.admission.waiting == 1
    turn.done(1)
    assert (await next_one).first == "r"


@on_a_timeless_loop
async def test_who_leaves_at_the_moment_of_its_turn_gives_that_to_the_next() -> None:
    desk = Desk()
    turn = await desk.enter()
    gone, next_one = desk.queue(), desk.queue()
    await settled()
    turn.done(1)
    gone.cancel()
    await settled()
    assert gone.cancelled()
    assert (await next_one).first == "r"
    assert desk.admission.waiting == 0


@on_a_timeless_loop
async def test_a_turn_that_ends_when_its_next_has_just_left_goes_to_the_one_after() -> None:
    desk = Desk()
    turn = await desk.enter()
    gone, next_one = desk.queue(), desk.queue()
    await settled()
    gone.cancel()
    turn.done(1)
    await settled()
    assert gone.cancelled()
    assert (await next_one).first == "r"


@on_a_timeless_loop
async def test_a_replica_that_may_not_be_asked_now_is_left_out_until_the_next_look() -> None:
    desk = Desk(replicas=(ours("r"), ours("s")), statuses={"r": status(1), "s": status(1)}, serving=("r", "s"))
    both = [await desk.enter(), await desk.enter()]
    waiting = desk.queue()
    await settled()
    desk.banned = {"r"}
    both[0].done(1)
    await settled()
    assert not waiting.done()
    await asyncio.sleep(LOOK_S * 3)
    assert not waiting.done()
    desk.banned.clear()
    desk.began_s = desk.loop.time()
    assert (await waiting).first == "r"
    assert 0 < desk.passed_s <= LOOK_S


@on_a_timeless_loop
async def test_what_may_go_elsewhere_goes_though_the_first_in_the_queue_cannot() -> None:
    desk = Desk(replicas=(ours("r"), ours("s")), statuses={"r": status(1), "s": status(1)})
    turns = [await desk.enter()]
    desk.serving = ("s",)
    turns.append(await desk.enter())
    desk.serving = ("r",)
    blocked = desk.queue("t")
    await settled()
    desk.serving = ("s",)
    free = desk.queue("u")
    await settled()
    desk.banned = {"r"}
    for turn in turns:
        turn.done(1)
    await settled()
    assert (blocked.done(), free.done()) == (False, True)


@on_a_timeless_loop
async def test_who_has_no_replica_left_is_held_for_a_while_and_then_let_go_without_one() -> None:
    desk = Desk(hold_s=2.0)
    await desk.enter()
    waiting = desk.queue()
    await settled()
    desk.replicas = ()
    turn = await waiting
    assert (turn.first, turn.queued) == (None, False)
    assert 2.0 <= desk.passed_s <= 2.0 + 2 * LOOK_S + 0.001
    assert desk.admission.waiting == 0


@on_a_timeless_loop
async def test_a_replica_that_comes_back_in_time_begins_the_hold_anew() -> None:
    desk = Desk(hold_s=2.0)
    await desk.enter()
    waiting = desk.queue()
    await settled()
    for _ in range(3):
        desk.banned = {"r"}
        await asyncio.sleep(1.5)
        desk.banned = set()
        await asyncio.sleep(0.5)
    assert not waiting.done()
    desk.banned = {"r"}
    assert (await waiting).first is None
    assert 8.0 <= desk.passed_s <= 8.0 + 2 * LOOK_S


@on_a_timeless_loop
async def test_who_can_be_served_goes_on_waiting_while_others_are_let_go() -> None:
    desk = Desk(replicas=(ours("r"), ours("s")), statuses={"r": status(1), "s": status(1)}, hold_s=1.0)
    turn = await desk.enter()
    desk.serving = ("s",)
    await desk.enter()
    lost = desk.queue("u")
    await settled()
    desk.serving = ("r",)
    kept = desk.queue("t")
    await settled()
    desk.banned = {"s"}
    assert (await lost).first is None
    assert not kept.done()
    turn.done(1)
    assert (await kept).first == "r"


@on_a_timeless_loop
async def test_news_of_the_replicas_serve_who_waits_within_a_look() -> None:
    desk = Desk()
    await desk.enter()
    waiting = desk.queue()
    await settled()
    desk.serving = ("r", "s")
    desk.replicas = (ours("r"), ours("s"))
    assert (await waiting).first == "s"
    assert 0 < desk.passed_s <= LOOK_S
