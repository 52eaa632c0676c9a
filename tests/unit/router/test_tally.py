"""Tallies: everything that is counted is read, once, however many read at a time."""

from concurrent.futures import ThreadPoolExecutor

from prometheus_client import CollectorRegistry, Counter, generate_latest

from patchbay.router.telemetry.tally import CounterTallies


def test_what_is_counted_between_reads_is_read_once_and_nothing_is_lost() -> None:
    registry, tallies = CollectorRegistry(), CounterTallies()
    registry.register(tallies)
    counter = Counter("seen", "Seen.", ("kind",), registry=registry)
    tally = tallies.of(counter.labels("a"))
    assert registry.get_sample_value("seen_total", {"kind": "a"}) == 0
    tally.total += 3
    tally.total += 4
    generate_latest(registry)
    assert registry.get_sample_value("seen_total", {"kind": "a"}) == 7


def test_two_that_read_at_a_time_do_not_count_twice() -> None:
    registry, tallies = CollectorRegistry(), CounterTallies()
    registry.register(tallies)
    tally = tallies.of(Counter("seen", "Seen.", ("kind",), registry=registry).labels("a"))
    with ThreadPoolExecutor(8) as readers:
        for _ in range(200):
            reads = [readers.submit(generate_latest, registry) for _ in range(8)]
            tally.total += 1
            for read in reads:
                read.result()
    assert registry.get_sample_value("seen_total", {"kind": "a"}) == 200
