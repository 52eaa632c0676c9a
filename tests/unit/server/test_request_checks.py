"""Checks of requests: some are refused before vLLM sees them, others are let through."""

import json
from typing import Any

import pytest

from patchbay.core.errors import InvalidRequest
from patchbay.server.request_checks import MOST_ANSWERS, MOST_INPUTS, MOST_SEQUENCES, check_request


def check(fields: dict[str, Any]) -> None:
    check_request(fields, json.dumps(fields).encode())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("priority", -1),
        ("priority", "5"),
        ("kv_transfer_params", {"do_remote_prefill": True, "remote_host": "10.0.0.1"}),
        ("kv_transfer_params", {}),
        ("ec_transfer_params", {"x": 1}),
        ("vllm_xargs", {"kv_transfer_params": 1}),
        ("chat_template_kwargs", {"max_length": 10**9, "padding": "max_length"}),
        ("chat_template_kwargs", {"return_tensors": "pt"}),
        ("n", MOST_ANSWERS + 1),
        ("prompt", ["a"] * (MOST_SEQUENCES + 1)),
        ("prompt", [[1]] * (MOST_SEQUENCES + 1)),
        ("input", ["a"] * (MOST_INPUTS + 1)),
        ("input", [[1]] * (MOST_INPUTS + 1)),
        ("documents", ["a"] * (MOST_INPUTS + 1)),
        ("documents", [{"content": []}] * (MOST_INPUTS + 1)),
        *((field, ["a"] * (MOST_INPUTS + 1)) for field in ("queries", "items", "data_1", "data_2", "text_1", "text_2")),
        ("seed", 2**63),
        ("repetition_detection", {"max_pattern_size": 2**70, "min_count": 2}),
        ("structured_outputs", {"json": {"type": "integer", "enum": [1, [-(2**70)]]}}),
        ("temperature", 10**400),
    ],
)
def test_what_would_harm_others_is_refused_with_the_name_of_its_field(field: str, value: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check({"model": "sql", field: value})
    assert refused.value.param == field


@pytest.mark.parametrize(
    "fields",
    [
        {"priority": 0},
        {"priority": None},
        {"kv_transfer_params": None, "ec_transfer_params": None},
        {"chat_template_kwargs": {"enable_thinking": False, "add_generation_prompt": True}},
        {"chat_template_kwargs": "no object"},
        {"n": MOST_ANSWERS},
        {"n": "no number"},
        {"n": True},
        {"prompt": [1] * (MOST_SEQUENCES + 1)},
        {"input": ["a"] * MOST_INPUTS},
        {"input": [1] * (MOST_INPUTS + 1)},
        {"input": [{"role": "user", "content": "hi"}] * (MOST_INPUTS + 1)},
        {"prompt": ["a"] * MOST_SEQUENCES},
        {"prompt": []},
        {"seed": 2**63 - 1},
        {"messages": [{"role": "user", "content": "1" * 40}]},
        {"vllm_xargs": {"mine": [1, "a"]}},
    ],
)
def test_what_harms_nobody_is_left_to_vllm(fields: dict[str, Any]) -> None:
    check({"model": "sql", **fields})


def test_prompts_times_answers_are_bounded() -> None:
    check({"prompt": ["a"] * 8, "n": 128})
    with pytest.raises(InvalidRequest, match="1032"):
        check({"prompt": ["a"] * 258, "n": 4})
