"""Canaries, rollouts, commands, leaders' deaths and clocks in any order, on both databases."""

import itertools

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from patchbay.registry.registry import Registry
from tests.integration.registry.canary_machine import CanaryMachine, Clock


# A thousand transactions, most of them looks: minutes where other work runs beside it.
@pytest.mark.timeout(900)
def test_stable_moves_to_what_nobody_chose_and_no_evidence_promoted(url: str) -> None:
    clock, numbers = Clock(), itertools.count()
    with Registry.open(url, clock=clock) as registry:

        class Machine(CanaryMachine):
            """One in this registry."""

            def __init__(self) -> None:
                super().__init__(registry, clock, numbers)

        # A failure is told as it was found: to make it smaller takes minutes.
        phases = (Phase.explicit, Phase.reuse, Phase.generate)
        few = settings(max_examples=40, stateful_step_count=25, deadline=None, phases=phases)
        run_state_machine_as_test(Machine, settings=few)
