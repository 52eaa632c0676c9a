"""Histograms in plain numbers: what is read of them is what Prometheus' own library would have kept, to the letter."""

import re

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.exposition import choose_encoder

from patchbay.router.telemetry.tally import HistogramTallies

_BOUNDS = st.lists(st.floats(0, 1e6), min_size=1, max_size=8, unique=True).map(sorted)
_VALUES = st.floats(0, 1e7) | st.sampled_from((0.0, 0.005, 1.0, 60.0))
_OBSERVED = st.lists(st.tuples(st.sampled_from(("", "a", 'odd "name"\n')), _VALUES), max_size=30)
# When a series began, which differs by the time between the two.
_CREATED = re.compile(rb"(_created(?:\{[^\n]*\})?) [^\n]+")


def _read(registry: CollectorRegistry, accept: str) -> bytes:
    return _CREATED.sub(rb"\1", choose_encoder(accept)[0](registry))


@given(_BOUNDS, _OBSERVED, st.sampled_from(("", "application/openmetrics-text; version=1.0.0")))
def test_a_tally_reads_as_the_library_s_own_histogram(
    bounds: list[float], observed: list[tuple[str, float]], accept: str
) -> None:
    plain, usual = CollectorRegistry(), CollectorRegistry()
    tallies = HistogramTallies(Histogram("took", "Took.", ("kind",), buckets=bounds, registry=None), bounds)
    plain.register(tallies)
    library = Histogram("took", "Took.", ("kind",), buckets=bounds, registry=usual)
    kinds = {kind: tallies.of(kind) for kind in dict.fromkeys(kind for kind, _ in observed)}
    for kind, value in observed:
        kinds[kind].observe(value)
        library.labels(kind).observe(value)
    assert _read(plain, accept) == _read(usual, accept)


@given(_BOUNDS, st.lists(_VALUES, max_size=30))
def test_one_without_labels_does_too_and_is_there_before_its_first_value(
    bounds: list[float], values: list[float]
) -> None:
    plain, usual = CollectorRegistry(), CollectorRegistry()
    tallies = HistogramTallies(Histogram("took", "Took.", buckets=bounds, registry=None), bounds)
    plain.register(tallies)
    tally, library = tallies.of(), Histogram("took", "Took.", buckets=bounds, registry=usual)
    assert _read(plain, "") == _read(usual, "")
    for value in values:
        tally.observe(value)
        library.observe(value)
    assert _read(plain, "") == _read(usual, "")
