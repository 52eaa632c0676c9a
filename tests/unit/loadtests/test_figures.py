from dataclasses import replace
from typing import Any

import pytest

from loadtests.load.figures import Figures, figures, percentile, recently_used, spread
from loadtests.load.records import Planned, Record
from loadtests.load.scenario import Scenario
from loadtests.load.verdict import all_met, judge

BASE: dict[str, Any] = {"seconds": 10, "arrivals": {"per_second": 1}, "requests": {"models": ["sql"]}}


def scenario(**changed: Any) -> Scenario:
    return Scenario.model_validate(BASE | changed)


def stream(number: int, due_s: float = 0.0, model: str = "sql") -> Planned:
    return Planned(number, due_s, model, "", {"stream": True})


def answered(number: int, sent_s: float = 0.0, first_s: float = 0.1, end_s: float = 0.5, tokens: int = 5) -> Record:
    return Record(number, sent_s, first_s, end_s, tokens, "answered", 200)


def failed(number: int, kind: str, end_s: float) -> Record:
    return Record(number, 0.0, None, end_s, 0, "failed", 0, kind)


def of(*pairs: tuple[Planned, Record], **changed: Any) -> Figures:
    return figures(scenario(**changed), [one for one, _ in pairs], [record for _, record in pairs])


def test_a_percentile_is_a_value_that_was_seen() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert percentile([7.0], 0.5) == 7
    assert spread([None]) is None


def test_time_to_first_token_is_counted_from_when_it_was_due_and_not_from_its_sending() -> None:
    found = of((stream(0, due_s=1), answered(0, sent_s=3, first_s=3.5, end_s=4))).counted
    assert found.ttft is not None
    assert found.ttft_from_sending is not None
    assert (found.ttft.most, found.ttft_from_sending.most) == (2.5, 0.5)
    assert found.latency is not None
    assert found.latency.most == 3


def test_time_per_token_is_that_of_the_tokens_after_the_first() -> None:
    found = of((stream(0), answered(0, first_s=0.1, end_s=0.5, tokens=5))).counted
    assert found.token_time is not None
    assert found.token_time.most == pytest.approx(0.1)


def test_what_was_given_up_counts_with_its_waiting_time_and_what_failed_at_once_does_not() -> None:
    found = of(
        (stream(0), answered(0)), (stream(1), failed(1, "timeout", 60)), (stream(2), failed(2, "500 x", 0.01))
    ).counted
    assert found.ttft is not None
    assert (found.ttft.count, found.ttft.most) == (2, 60)


def test_availability_counts_refusals_and_the_error_share_does_not() -> None:
    refused = Record(2, 0, None, 0.1, 0, "refused", 429, "429 rate_limit_exceeded")
    left = replace(answered(3), outcome="cancelled")
    found = of((stream(0), answered(0)), (stream(1), failed(1, "500 x", 1)), (stream(2), refused), (stream(3), left))
    assert (found.counted.availability, found.counted.error_share) == (0.5, 0.25)
    assert found.errors == {"500 x": 1, "429 rate_limit_exceeded": 1}


def test_the_first_seconds_are_shown_and_not_counted() -> None:
    found = of((stream(0, 1), answered(0)), (stream(1, 5), answered(1, 5, 6, 7)), warm_s=4)
    assert (found.sent, found.counted.sent, found.seconds) == (2, 1, 6)
    assert sum(one.due for one in found.bins) == 2


def test_every_request_is_in_one_stretch_even_one_that_ends_after_the_run() -> None:
    found = of((stream(0), answered(0)), (stream(1, 9), answered(1, 9, 30, 42)))
    assert sum(one.ended for one in found.bins) == 2
    assert found.bins[-1].at_s == 42


def test_adapters_are_told_apart() -> None:
    found = of((stream(0), answered(0)), (stream(1, model="json"), failed(1, "500 x", 1)))
    assert {name: one.failed for name, one in found.by_model.items()} == {"sql": 0, "json": 1}


def test_what_was_not_asked_for_lately_is_cold() -> None:
    assert recently_used(["a", "b", "a", "c", "b", "a"], 2) == [False, False, True, False, False, False]
    cold = of((stream(0), answered(0)), (stream(1), answered(1)), stack={"slots": 1}).cold
    assert {name: one.sent for name, one in cold.items()} == {"asked for lately": 1, "not asked for lately": 1}


@pytest.mark.parametrize(
    ("slo", "met"),
    [
        ({}, True),
        ({"availability": 0.5, "error_share": 0.5}, True),
        ({"availability": 0.51}, False),
        ({"error_share": 0.49}, False),
        ({"ttft_p95_s": 0.1, "token_time_p95_s": 0.11}, True),
        ({"ttft_p95_s": 0.09}, False),
        ({"token_time_p95_s": 0.09}, False),
    ],
)
def test_a_target_that_is_missed_is_told_from_one_that_is_met(slo: dict[str, float], met: bool) -> None:
    found = of((stream(0), answered(0)), (stream(1), failed(1, "500 x", 1)))
    assert all_met(judge(scenario(slo=slo), found)) == met


def test_a_target_with_nothing_to_measure_is_not_met() -> None:
    judged = judge(scenario(slo={"ttft_p95_s": 5}), of((stream(0), failed(0, "500 x", 1))))
    assert [(one.found, one.met) for one in judged] == [(None, False)]


@pytest.mark.parametrize(("phase", "met"), [("rolled_back", True), ("promoted", False), (None, False)])
def test_a_canary_must_have_ended_as_the_scenario_says(phase: str | None, met: bool) -> None:
    wanted = scenario(canary={"adapter": "sql", "source": "label-bad", "ends": "rolled_back"})
    assert all_met(judge(wanted, of((stream(0), answered(0))), phase)) == met
