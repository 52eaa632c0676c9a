import itertools
import statistics
import time

import pytest

from loadtests.load.arrivals import due_times, keep_to, rate_at
from loadtests.load.records import Planned
from loadtests.load.scenario import Arrivals, Burst
from patchbay.tuning.demo.corpus import seeded

STEADY = Arrivals(per_second=50)
BURSTY = Arrivals(per_second=20, burst=Burst(every_s=10, for_s=2, times=5))


def gaps(times: list[float]) -> list[float]:
    return [after - before for before, after in itertools.pairwise(times)]


def test_arrivals_are_as_many_as_asked_for() -> None:
    assert abs(len(due_times(STEADY, 200, seeded("1"))) / 200 - 50) < 1.5


def test_gaps_are_exponential_and_not_regular() -> None:
    found = gaps(due_times(STEADY, 400, seeded("2")))
    mean = statistics.fmean(found)
    assert abs(statistics.stdev(found) / mean - 1) < 0.05
    # Of an exponential distribution a share of 1 - 1/e is below the mean, and 1/e^2 above twice the mean.
    below = sum(gap < mean for gap in found) / len(found)
    above = sum(gap > 2 * mean for gap in found) / len(found)
    assert [below, above] == pytest.approx([0.632, 0.135], abs=0.02)


def test_counts_in_equal_stretches_vary_as_poisson_counts_do() -> None:
    times = due_times(STEADY, 1000, seeded("4"))
    counts = [0] * 1000
    for at_s in times:
        counts[int(at_s)] += 1
    assert 0.85 < statistics.variance(counts) / statistics.fmean(counts) < 1.15


def test_a_burst_is_so_many_times_as_busy_and_only_while_it_lasts() -> None:
    times = due_times(BURSTY, 1000, seeded("5"))
    within = [at_s for at_s in times if at_s >= 10 and at_s % 10 < 2]
    burst_rate, calm_rate = len(within) / (99 * 2), (len(times) - len(within)) / (1000 - 99 * 2)
    assert abs(burst_rate / calm_rate - 5) < 0.4
    assert (rate_at(BURSTY, 1), rate_at(BURSTY, 11), rate_at(BURSTY, 13)) == (20, 100, 20)


def test_the_same_seed_gives_the_same_arrivals() -> None:
    assert due_times(BURSTY, 30, seeded("6")) == due_times(BURSTY, 30, seeded("6"))
    assert due_times(BURSTY, 30, seeded("6")) != due_times(BURSTY, 30, seeded("7"))


def test_a_request_is_never_started_before_it_is_due_and_all_are() -> None:
    planned = [Planned(number, number * 0.01, "sql", "", {}) for number in range(10)]
    began, started = time.monotonic(), dict[int, float]()
    keep_to(planned, began, lambda one: started.update({one.number: time.monotonic() - began}))
    assert list(started) == list(range(10))
    assert all(started[one.number] >= one.due_s for one in planned)
