"""Adapters whose modules the engine would ignore without a word."""

import pytest

from patchbay.core.errors import AdapterRejected
from patchbay.server.fit import WorkerModules, check_fit


@pytest.mark.parametrize(
    "workers",
    [[(["q", "k"], [])], [(["q"], ["k"]), (["k"], ["q"])], [(["q"], []), (["q"], [])]],
    ids=["one worker", "layers split over workers", "the same on both"],
)
def test_what_some_worker_has_a_place_for_fits(workers: list[WorkerModules]) -> None:
    check_fit("sql@1-abc", workers)


@pytest.mark.parametrize(
    ("workers", "says"),
    [
        ([([], ["q"])], "such as q: 0 of 1 fit"),
        ([([], [])], "such as any module: 0 of 0 fit"),
        ([(["q"], ["v", "k"])], "such as k: 1 of 3 fit"),
        ([(["q"], ["k"]), (["q"], ["k"])], "such as k: 1 of 2 fit"),
    ],
)
def test_what_no_worker_has_a_place_for_is_refused_and_not_served_as_the_base(
    workers: list[WorkerModules], says: str
) -> None:
    with pytest.raises(AdapterRejected, match=rf"{says}.*--fold FOLDER"):
        check_fit("sql@1-abc", workers)
