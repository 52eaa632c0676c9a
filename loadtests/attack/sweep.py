"""The sweep: every field of every endpoint with every value, alone and in pairs, in an order that a seed decides.

Fields take turns, so that however short the sweep is, all of them are tried about equally often. Pure.
"""

import random
from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest
from typing import Any

from loadtests.attack.models import Endpoint, Surface
from loadtests.attack.tries import Try, request

_PAIRS_AFTER = 3
_END = object()


def sweep(surfaces: Sequence[Surface], models: Sequence[str], seed: int) -> Iterator[Try]:
    """Tries without end: values alone until each had its turn, every fourth try a pair of fields, then pairs only."""
    choose = random.Random(seed)  # noqa: S311 - a test's order, which must be the same again
    singles, pairs = _singles(surfaces, models, choose), _pairs(surfaces, models, choose)
    for number, single in enumerate(singles):
        yield single
        if number % _PAIRS_AFTER == _PAIRS_AFTER - 1:
            yield next(pairs)
    yield from pairs


def _singles(surfaces: Sequence[Surface], models: Sequence[str], choose: random.Random) -> Iterator[Try]:
    columns = []
    for surface in surfaces:
        for name, values in surface.fields.items():
            columns.append([(surface.endpoint, name, value) for value in choose.sample(values, len(values))])
    choose.shuffle(columns)
    for endpoint, name, value in _turns(columns):
        yield _try(endpoint, {name: value}, models, choose)


def _turns(columns: Sequence[Sequence[Any]]) -> Iterator[Any]:
    rows = zip_longest(*columns, fillvalue=_END)
    return (entry for entry in chain.from_iterable(rows) if entry is not _END)


def _pairs(surfaces: Sequence[Surface], models: Sequence[str], choose: random.Random) -> Iterator[Try]:
    wide = [surface for surface in surfaces if len(surface.fields) > 1]
    weights = [len(surface.fields) for surface in wide]
    while True:
        (surface,) = choose.choices(wide, weights)
        names = choose.sample(sorted(surface.fields), 2)
        yield _try(surface.endpoint, {name: choose.choice(surface.fields[name]) for name in names}, models, choose)


def _try(endpoint: Endpoint, fields: dict[str, Any], models: Sequence[str], choose: random.Random) -> Try:
    least: dict[str, Any] = {"model": choose.choice(models), **endpoint.least}
    if endpoint.streams and choose.random() < 0.5:
        least["stream"] = True
    kind = "fields, alone" if len(fields) == 1 else "fields, in pairs"
    return request(kind, endpoint.path, least, fields)
