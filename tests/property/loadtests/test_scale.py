"""The simulated fleet, by what must hold of any: nothing is lost, no time is made up, and the same seed is the same
run."""

import math
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from loadtests.scale.fit import Fit, fit_steps
from loadtests.scale.measures import figures
from loadtests.scale.places import Size
from loadtests.scale.policies import ALL
from loadtests.scale.search import least
from loadtests.scale.traffic import Traffic, jobs_of
from loadtests.scale.world import Run, Scenario, run

FIT = Fit(0.02, 0.001, 0.001, 0.0002, 0.05, 0.005)
SMALL = Size(most=8, slots=3, places=6, prefixes=20)

traffics = st.builds(
    Traffic,
    per_s=st.floats(1, 30),
    seconds=st.just(6.0),
    adapters=st.integers(1, 30),
    answer_tokens=st.just(20.0),
    shape=st.sampled_from(["steady", "diurnal", "bursty"]),
)
scenarios = st.builds(
    Scenario,
    st.just("any"),
    st.integers(2, 6),
    traffics,
    st.just(FIT),
    size=st.just(SMALL),
    routers=st.integers(1, 3),
    warm_s=st.just(0.0),
    fail_every_s=st.sampled_from([None, 2.0]),
    down_s=st.just(1.5),
    rollout_every_s=st.sampled_from([None, 1.0]),
)
cases = (scenarios, st.sampled_from(ALL), st.integers(0, 1000))


def told(one: Run) -> list[tuple[object, ...]]:
    return [(job.number, job.replica, job.first_s, job.end_s, job.tries, job.revision) for job in one.jobs]


@settings(max_examples=30, deadline=None)
@given(*cases)
def test_no_request_is_lost_or_served_twice_whatever_fails_under_it(scenario: Scenario, policy: str, seed: int) -> None:
    done = run(scenario, policy, seed)
    assert [job.number for job in done.jobs] == list(range(len(list(jobs_of(scenario.traffic, seed)))))
    assert all(job.served == 1 for job in done.jobs)
    assert all(job.done == job.answer_tokens for job in done.jobs)


@settings(max_examples=30, deadline=None)
@given(*cases)
def test_nothing_takes_less_time_than_its_work_and_no_engine_works_longer_than_there_was_time(
    scenario: Scenario, policy: str, seed: int
) -> None:
    done = run(scenario, policy, seed)
    least_s = FIT.decode_s(1, 1)
    for job in done.jobs:
        assert job.first_s is not None
        assert job.end_s is not None
        assert job.first_s - job.at_s >= least_s - 1e-9
        assert job.end_s - job.first_s >= (job.answer_tokens - 1) * least_s - 1e-6
    assert all(engine.busy_s <= done.took_s + 1e-6 for engine in done.engines)


@settings(max_examples=20, deadline=None)
@given(scenarios, st.sampled_from(ALL), st.integers(0, 1000))
def test_without_failures_engines_make_just_the_tokens_that_were_asked_for(
    scenario: Scenario, policy: str, seed: int
) -> None:
    done = run(replace(scenario, fail_every_s=None), policy, seed)
    assert sum(engine.tokens for engine in done.engines) == sum(job.answer_tokens for job in done.jobs)
    assert all(job.tries == 1 for job in done.jobs)


@settings(max_examples=20, deadline=None)
@given(scenarios, st.integers(0, 1000))
def test_a_router_of_ours_asks_a_dead_replica_at_most_once_before_it_knows(scenario: Scenario, seed: int) -> None:
    done = run(replace(scenario, fail_every_s=1.0), "ours", seed)
    deaths = sum(engine.deaths for engine in done.engines)
    assert sum(front.refusals for front in done.fronts) <= len(done.fronts) * deaths
    assert all(job.served == 1 for job in done.jobs)


@settings(max_examples=15, deadline=None)
@given(*cases)
def test_the_same_seed_is_the_same_run_to_the_last_digit(scenario: Scenario, policy: str, seed: int) -> None:
    assert told(run(scenario, policy, seed)) == told(run(scenario, policy, seed))


@settings(max_examples=20, deadline=None)
@given(scenarios, st.integers(0, 1000))
def test_ours_never_sends_a_replica_more_requests_than_it_runs(scenario: Scenario, seed: int) -> None:
    done = run(replace(scenario, routers=1, fail_every_s=None), "ours", seed)
    assert max(engine.peak for engine in done.engines) <= SMALL.most
    assert figures(done).refused == 0


def test_a_replica_that_runs_one_request_at_a_time_has_the_queue_that_theory_says() -> None:
    # M/M/1: answers of exponential length at Poisson arrivals wait 1 / (mu - lambda) in all, queue and service.
    step_s, tokens, load = 0.001, 400.0, 0.6
    fit = Fit(step_s, 0, 0, 0, 0, 0)
    traffic = Traffic(load / (tokens * step_s), 10_000, 1, answer_tokens=tokens, prompt_tokens=1, tenants=1)
    done = run(Scenario("M/M/1", 1, traffic, fit, size=Size(most=1), warm_s=0), "round robin", 7)
    spent = [job.end_s - job.at_s for job in done.jobs if job.end_s is not None]
    served = [job.answer_tokens * step_s for job in done.jobs]
    rate, mean = len(done.jobs) / traffic.seconds, sum(served) / len(served)
    assert math.isclose(sum(spent) / len(spent), mean / (1 - rate * mean), rel_tol=0.1)


@given(st.integers(1, 200), st.integers(1, 200))
def test_the_search_finds_the_least_number_that_is_enough_wherever_it_begins(right: int, first: int) -> None:
    assert least(lambda count: count >= right, first, max(first, 400)) == right
    assert least(lambda count: False, first, max(first, 400)) is None


@settings(deadline=None)
@given(st.floats(0.001, 0.1), st.floats(0.0, 0.01), st.floats(0.0, 0.01))
def test_a_fit_gives_back_what_steps_without_noise_were_made_of(base: float, stream: float, adapter: float) -> None:
    made = Fit(base, stream, adapter, 0, 0, 0)
    points = [
        {"streams": streams, "adapters": adapters, "seconds": made.decode_s(streams, adapters)}
        for streams, adapters in ((1, 1), (8, 1), (8, 8), (64, 1), (64, 8))
    ]
    found = fit_steps(points)
    assert all(
        math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9)
        for one, other in zip(found, (base, stream, adapter), strict=True)
    )
