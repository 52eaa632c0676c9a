"""A seeded part of the attack, on the shared stack: no request ends the engine or changes a neighbour's answer."""

from itertools import islice

import aiohttp
import pytest

from loadtests.attack.models import surfaces
from loadtests.attack.running import Attack, asking
from loadtests.attack.sending import Addresses
from loadtests.attack.stack import BASE, bystanders
from loadtests.attack.sweep import sweep
from loadtests.attack.tally import Tally
from loadtests.attack.watch import Processes
from tests.engine.conftest import Stack

pytestmark = [pytest.mark.engine, pytest.mark.anyio]
_SEED, _TRIES = 17, 700


@pytest.mark.timeout(900)
async def test_no_field_of_any_request_harms_a_neighbour(stack: Stack) -> None:
    tally, watched = Tally(seed=_SEED), bystanders()
    async with aiohttp.ClientSession() as session, asking(session, stack.url, watched, tally):
        addresses = Addresses(stack.url, stack.admin_url)
        attack = Attack(session, addresses, Processes(stack.process.pid), watched, tally)
        await attack.run(islice(sweep(surfaces(), (BASE, "sql", "json"), _SEED), _TRIES), lambda: True)
        found = [await attack.smallest(one) for one in tally.violations]
    assert [(one.what, one.by.path, dict(one.by.fields), one.detail) for one in found] == []
    assert tally.row("fields, alone").good > 50
