"""An attack on a real router in front of fake engines: it finds what is there, and nothing where nothing is."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from loadtests.attack.bodies import bodies
from loadtests.attack.bystanders import Bystander
from loadtests.attack.framing import framing
from loadtests.attack.repeats import KIND, TIMES, repeats
from loadtests.attack.running import CHANGED, ENDED, FAULT, LEFT, Attack, asking, left_violations
from loadtests.attack.sending import Addresses, Sender
from loadtests.attack.tally import Tally
from loadtests.attack.tries import Try, request
from loadtests.attack.watch import turns_held
from patchbay.core.errors import PatchbayError
from tests.fakes.engine import FakeEngine, Script, revision
from tests.fakes.routers import running_router, until

pytestmark = pytest.mark.anyio
CHAT = {"model": "sql", "messages": [{"role": "user", "content": "hi"}]}


class Watch:
    """Processes that end when they are told to."""

    def __init__(self) -> None:
        self.gone = 0

    def learn(self) -> None:
        self.gone = 0

    def ended(self) -> int:
        return self.gone


class Harmful(FakeEngine):
    """An engine that does something when a request has a field of that name."""

    def __init__(self, field: str = "", harm: Any = None) -> None:
        super().__init__(revisions=(revision("sql"),))
        self._field = field
        self._harm = harm

    async def _play(self, request: Any, seen: Any) -> Any:
        if self._field and self._field in seen.body.decode(errors="replace"):
            self._harm(self)
        answer = await super()._play(request, seen)
        if b"hello" in seen.body:
            # One answer to a bystander is enough.
            self.script.words = None
        return answer


@asynccontextmanager
async def attacked(fake: FakeEngine, watch: Watch) -> AsyncIterator[tuple[Attack, Tally]]:
    tally, watched = Tally(), [Bystander("demo-base", "hello")]
    async with running_router(fake) as router, aiohttp.ClientSession() as session:
        addresses = Addresses(router.url, router.admin_url)
        async with asking(session, router.url, watched, tally):
            yield Attack(session, addresses, watch, watched, tally), tally


async def found(fake: FakeEngine, watch: Watch, tries: Sequence[Try]) -> Tally:
    async with attacked(fake, watch) as (attack, tally):
        await attack.run(tries, lambda: True)
        tally.violations = [await attack.smallest(one) for one in tally.violations]
    return tally


def asked(**fields: Any) -> Try:
    return request("fields", "/v1/chat/completions", CHAT, fields)


async def test_a_router_holds_odd_framing_and_odd_bodies() -> None:
    tries = [*framing(), *(one for one in bodies() if len(one.body) < 1 << 20)]
    tally = await found(Harmful(), Watch(), tries)
    assert [(one.what, one.by.what, one.detail) for one in tally.violations] == []
    assert tally.rows["framing"].refused > 20
    assert tally.asked > 0


async def test_an_answer_of_500_is_blamed_on_the_one_field_that_it_needs() -> None:
    def broken(engine: FakeEngine) -> None:
        engine.scripts["sql@1"] = Script(fault="error_500")
        asyncio.get_running_loop().call_later(0, engine.scripts.clear)

    tally = await found(Harmful("stop", broken), Watch(), [asked(n=1), asked(seed=3, stop=["x"], user="u")])
    (violation,) = tally.violations
    assert violation.what == f"{FAULT}: 500"
    assert dict(violation.by.fields) == {"stop": ["x"]}
    assert tally.rows["fields"].cells[:5] == (2, 1, 0, 0, 1)


async def test_an_engine_that_ends_is_blamed_on_the_request_with_which_it_ends_again() -> None:
    watch = Watch()
    harmful = Harmful("seed", lambda _engine: setattr(watch, "gone", 1))
    tally = await found(harmful, watch, [asked(n=1), asked(seed=3, user="u"), asked(stop="a"), asked(n=2)])
    (violation,) = tally.violations
    assert (violation.what, dict(violation.by.fields)) == (ENDED, {"seed": 3})
    assert tally.rows["fields"].ended == 1


async def test_a_bystander_whose_answer_changes_is_noticed() -> None:
    harmful = Harmful("seed", lambda engine: setattr(engine.script, "words", ("!", "!")))
    tally = await found(harmful, Watch(), [asked(n=1), asked(seed=3)])
    assert [(one.what, dict(one.by.fields)) for one in tally.violations] == [(CHANGED, {"seed": 3})]


async def test_bystanders_who_do_not_answer_the_same_alone_cannot_be_watched() -> None:
    fake = Harmful("hello", lambda engine: setattr(engine.script, "words", (str(len(engine.seen)),)))
    with pytest.raises(PatchbayError, match="not answer the same"):
        await found(fake, Watch(), [])


async def test_requests_that_ended_engines_once_end_nothing_however_often_they_come() -> None:
    tally = await found(Harmful(), Watch(), list(repeats(("sql",))))
    row = tally.rows[KIND]
    assert [(one.what, one.by.what, one.detail) for one in tally.violations] == []
    assert (row.tried % TIMES, row.ended, row.at_fault) == (0, 0, 0)
    assert row.tried > 10 * TIMES


async def test_one_of_them_that_ends_an_engine_is_found() -> None:
    watch = Watch()
    harmful = Harmful("prompt_logprobs", lambda _engine: setattr(watch, "gone", 1))
    tally = await found(harmful, watch, list(repeats(("sql",))))
    assert {(one.what, tuple(one.by.fields)) for one in tally.violations} == {(ENDED, ("prompt_logprobs",))}
    assert tally.rows[KIND].ended > 0


@pytest.mark.parametrize("running", [0, 2])
async def test_a_request_that_is_left_running_in_the_end_is_a_violation(running: int) -> None:
    fake = Harmful()
    fake.running = running
    async with running_router(fake) as router, aiohttp.ClientSession() as session:
        await until(lambda: router.fleet.view.replicas[0].load == running)
        addresses = Addresses(router.url, router.admin_url)
        found = await left_violations(session, addresses, within_s=0.3, look_s=0.05)
    assert [one.what for one in found] == [LEFT] * bool(running)


async def test_the_admin_port_is_attacked_behind_its_door_and_a_watch_that_sees_nothing_says_so() -> None:
    push = Try("archives", "x", "/admin/v1/reload", b"{}", door="operators")
    async with running_router(Harmful(), admin_token="t" * 20) as router, aiohttp.ClientSession() as session:
        inside = Addresses(router.url, router.admin_url, "t" * 20)
        assert (await Sender(session, inside).send(push)).status != 401
        assert await turns_held(session, inside) == 0
        with pytest.raises(PatchbayError, match="answers 401"):
            await turns_held(session, Addresses(router.url, router.admin_url))
