"""Canaries, rollouts, commands, leaders' deaths and clocks in any order, on both databases."""

import itertools

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from adapters.registry.registry import Registry
from tests.integration.registry.canary_machine import CanaryMachine, Clock


def test_stable_moves_to_what_nobody_chose_and_no_evidence_promoted(url: str) -> None:
    clock, numbers = Clock(), itertools.count()
    with Registry.open(url, clock=clock) as registry:
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            lambda: CanaryMachine(registry, clock, numbers),
            settings=settings(max_examples=20, stateful_step_count=40, deadline=None),
        )
