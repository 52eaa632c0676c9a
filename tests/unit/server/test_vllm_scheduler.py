"""A request whose logits are not finite ends with a reason of its own, and nobody gets what it left in the cache."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from vllm.v1.engine import EngineCoreOutputs, FinishReason
from vllm.v1.request import RequestStatus

from patchbay.server.vllm_marks import merge_by_request, not_finite_rows
from patchbay.server.vllm_scheduler import NOT_FINITE, _Containment

NAN, INF = float("nan"), float("inf")


class Plain:
    """As much of vLLM's scheduler as containment is mixed into: it gives every running request's token out."""

    def __init__(self) -> None:
        self.requests: dict[str, Any] = {name: _request(name) for name in ("good", "bad")}
        self.grammar_compile_error_reqs: set[str] = set()
        self.evicted: set[int] = set()
        blocks = {"good": ([1, 2], [3]), "bad": ([4, 0], [5])}
        self.kv_cache_manager = SimpleNamespace(get_block_ids=blocks.__getitem__, evict_blocks=self.evicted.update)

    def finish_requests(self, names: list[str], status: RequestStatus) -> list[Any]:
        assert status == RequestStatus.FINISHED_ERROR
        return [self.requests.pop(name) for name in names]

    def update_from_output(self, _scheduled: Any, _output: Any) -> dict[int, EngineCoreOutputs]:
        token = [SimpleNamespace(request_id=name, finish_reason=None, stop_reason=None) for name in self.requests]
        return {0: EngineCoreOutputs(outputs=token)}


class Contained(_Containment, Plain):
    """It with containment."""


def _request(name: str) -> Any:
    return SimpleNamespace(
        request_id=name,
        client_index=0,
        trace_headers=None,
        use_structured_output=False,
        get_finished_reason=lambda: FinishReason.ERROR,
        take_events=lambda: None,
    )


def step(scheduler: Contained, counts: dict[str, int] | None) -> list[tuple[str, Any, Any]]:
    """A step of the engine in which each request's logits had so many values that are not finite."""
    scheduled = SimpleNamespace(has_structured_output_requests=False, num_scheduled_tokens={})
    outputs = scheduler.update_from_output(scheduled, SimpleNamespace(num_nans_in_logits=counts))
    return [(one.request_id, one.finish_reason, one.stop_reason) for one in outputs[0].outputs]


def test_it_ends_before_its_token_is_sent_and_its_blocks_are_shared_with_nobody() -> None:
    scheduler = Contained()
    assert step(scheduler, {"good": 0, "bad": 1, "gone": 1}) == [
        ("good", None, None),
        ("bad", FinishReason.ERROR, NOT_FINITE),
    ]
    assert scheduler.requests.keys() == {"good"}
    # Block 0 is vLLM's place holder, which belongs to nobody.
    assert scheduler.evicted == {4, 5}


@pytest.mark.parametrize("counts", [None, {}, {"good": 0, "bad": 0}])
def test_where_all_are_finite_nothing_ends(counts: dict[str, int] | None) -> None:
    scheduler = Contained()
    assert [name for name, _, _ in step(scheduler, counts)] == ["good", "bad"]
    assert scheduler.evicted == set()


def test_a_row_is_finite_where_its_largest_value_is() -> None:
    rows = torch.tensor([[1.0, 2.0], [1.0, NAN], [INF, 0.0], [-INF, 3.0], [-INF, -INF]])
    assert not_finite_rows(rows).isnan().flatten().tolist() == [False, True, True, False, True]


def test_one_bad_row_of_a_request_with_several_marks_that_request_alone() -> None:
    marks = not_finite_rows(torch.tensor([[1.0], [1.0], [NAN], [2.0]]))
    assert merge_by_request(marks, [2, 1, 1]).isnan().flatten().tolist() == [False, True, False]
