"""Requests that make no sense, to real vLLM through the router: refused in the API's shape, and the engine lives on."""

from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.conftest import Stack

pytestmark = pytest.mark.engine
VALID: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1},
    "/v1/completions": {"prompt": "hi", "max_tokens": 1},
    "/v1/responses": {"input": "hi", "max_output_tokens": 1},
    "/v1/messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1},
    "/v1/messages/count_tokens": {"messages": [{"role": "user", "content": "hi"}]},
}
FIELDS = [
    "messages",
    "prompt",
    "input",
    "system",
    "tools",
    "tool_choice",
    "response_format",
    "stop",
    "n",
    "logprobs",
    "top_logprobs",
    "temperature",
    "top_p",
    "seed",
    "max_tokens",
    "stream",
    "stream_options",
    "presence_penalty",
    "logit_bias",
    "user",
    "min_tokens",
    "stop_token_ids",
    "truncate_prompt_tokens",
    "prompt_logprobs",
    "top_k",
    "guided_json",
    "structured_outputs",
    "chat_template",
    "chat_template_kwargs",
    "documents",
    "echo",
    "suffix",
]
odd: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(
        ["", "auto", "required", "\x00", "user", "{{ 1/0 }}", -1, 0, 1e308, [[]], {"type": "json_object"}]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "type", "text", "function", "name", "x"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def client(stack: Stack) -> Any:
    with httpx.Client(base_url=stack.url, timeout=60) as made:
        yield made


@pytest.mark.timeout(300)
@settings(max_examples=600, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(VALID)), st.sampled_from(["demo-base", "sql"]), st.data())
def test_odd_values_in_any_field_are_answered_or_refused(client: Any, path: str, model: str, data: Any) -> None:
    fields = {name: data.draw(odd, label=name) for name in data.draw(st.lists(st.sampled_from(FIELDS), max_size=3))}
    answer = client.post(path, json={"model": model, **VALID[path], **fields})
    assert answer.status_code in (200, 400, 404, 422), answer.text[:500]
    if answer.status_code != 200:
        error = answer.json()["error"]
        assert isinstance(error["message"], str)
        assert error["message"]
        assert error["type"] in ("invalid_request_error", "not_found_error")


def test_after_all_of_them_the_engine_answers_as_before(client: Any) -> None:
    body = {"model": "sql", **VALID["/v1/chat/completions"]}
    assert client.post("/v1/chat/completions", json=body).status_code == 200


@pytest.mark.parametrize("fields", [{"top_p": 7}, {"logit_bias": {"99999999": 1}}, {"stop_token_ids": [-5]}])
def test_a_streamed_response_that_is_wrong_is_a_400_and_not_a_cut_stream(client: Any, fields: dict[str, Any]) -> None:
    for _ in range(8):
        answer = client.post("/v1/responses", json={"model": "sql", "input": "hi", "stream": True, **fields})
        assert answer.status_code == 400, answer.text[:300]
        assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("prompt", ["", [""], ["", "hi"], [], [[]], [[], [1]], [1], [[1], [2]]])
@pytest.mark.parametrize(
    "fields",
    [
        {"echo": True},
        {"echo": True, "logprobs": 5},
        {"echo": True, "logprobs": 1, "max_tokens": 0},
        {"echo": True, "max_tokens": 0},
        {"prompt_logprobs": 5},
        {"echo": True, "prompt_logprobs": 0},
        {"echo": True, "add_special_tokens": False},
        {"echo": True, "return_token_ids": True},
    ],
)
def test_an_empty_prompt_is_echoed_or_a_fault_of_the_clients(client: Any, prompt: Any, fields: dict[str, Any]) -> None:
    for stream in (False, True) if "prompt_logprobs" not in fields else (False,):
        asked = {"model": "demo-base", "max_tokens": 1, "prompt": prompt, "stream": stream, **fields}
        answer = client.post("/v1/completions", json=asked)
        assert answer.status_code in (200, 400), answer.text[:300]
        if stream and answer.status_code == 200:
            assert '"server_error"' not in answer.text


def test_an_empty_text_is_echoed_before_what_is_generated(client: Any) -> None:
    asked = {"model": "demo-base", "max_tokens": 2, "temperature": 0, "prompt": [""]}
    plain = client.post("/v1/completions", json=asked).json()["choices"][0]
    echoed = client.post("/v1/completions", json={**asked, "echo": True, "logprobs": 1}).json()["choices"][0]
    assert echoed["text"] == plain["text"]
    assert echoed["logprobs"]["token_logprobs"][0] is None


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/chat/completions", {"messages": []}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": ""}], "echo": True}),
        ("/v1/chat/completions", {"messages": [{"role": "assistant", "content": ""}], "echo": True, "logprobs": True}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": []}]}),
        ("/v1/responses", {"input": ""}),
        ("/v1/responses", {"input": []}),
        ("/v1/responses", {"input": [{"role": "user", "content": []}]}),
        ("/v1/messages", {"messages": [], "max_tokens": 1}),
        ("/v1/messages", {"messages": [{"role": "user", "content": ""}], "max_tokens": 1}),
    ],
)
def test_a_conversation_that_says_nothing_is_answered_or_refused(
    client: Any, path: str, fields: dict[str, Any]
) -> None:
    answer = client.post(path, json={"model": "demo-base", **fields})
    assert answer.status_code in (200, 400), answer.text[:300]
