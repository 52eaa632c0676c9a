"""The size that a request is charged for, against vLLM's own request models: no body uses more than was set aside."""

import json
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from vllm.entrypoints.anthropic.protocol import AnthropicMessagesRequest
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.entrypoints.openai.completion.protocol import CompletionRequest
from vllm.entrypoints.openai.responses.protocol import ResponsesRequest
from vllm.entrypoints.serve.utils.api_utils import get_max_tokens
from vllm.exceptions import VLLMValidationError

from patchbay.core.errors import InvalidRequest
from patchbay.router.request.token_meter import bounded
from patchbay.router.routes.config import RouteConfig, Sampling
from patchbay.router.routes.rewrite import rewritten
from patchbay.router.routes.sizes import FIELDS
from patchbay.router.tenants.config import CountersConfig

CONTEXT = 2048
RATES = CountersConfig(answer_tokens=100)
MESSAGES = [{"role": "user", "content": "hi"}]
BODIES: Mapping[str, dict[str, Any]] = {
    "chat_completions": {"model": "m", "messages": MESSAGES},
    "completions": {"model": "m", "prompt": "hi"},
    "responses": {"model": "m", "input": "hi"},
    "messages": {"model": "m", "messages": MESSAGES},
}
MODELS: Mapping[str, Any] = {
    "chat_completions": ChatCompletionRequest,
    "completions": CompletionRequest,
    "responses": ResponsesRequest,
    "messages": AnthropicMessagesRequest,
}
NAMES = ("max_tokens", "max_completion_tokens", "max_output_tokens", "n", "best_of", "min_tokens", "use_beam_search")
WHOLE = st.one_of(st.integers(-3, 200), st.sampled_from([0, 1, 16, 128, 100_000, 2**31, 2**63, 10**20]))
VALUES = st.one_of(WHOLE, WHOLE.map(str), st.booleans(), st.none(), st.floats(0, 500), WHOLE.map(float))
# Half of the bodies have nothing odd in them, since most of the others are refused.
SIZES = st.one_of(
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4),
    st.dictionaries(st.sampled_from(("max_tokens", "n")), st.integers(1, 200), max_size=2),
)
PROMPTS = st.one_of(
    st.text(max_size=5),
    st.lists(st.integers(0, 9), max_size=5),
    st.lists(st.text(max_size=5), max_size=4),
    st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=3), max_size=4),
)


def chat_use(request: Any) -> int:
    """The tokens that vLLM's chat endpoint can generate for `request`, as `chat_completion/serving.py` has it."""
    said = request.max_completion_tokens if request.max_completion_tokens is not None else request.max_tokens
    return sampled(request, said)


def completion_use(request: Any) -> int:
    """As `chat_use`, for `completion/serving.py`, over all prompts."""
    prompts = request.prompt
    several = isinstance(prompts, list) and prompts and not isinstance(prompts[0], int)
    return sampled(request, request.max_tokens) * (len(prompts) if several else 1)


def sampled(request: Any, said: int | None) -> int:
    """The answers that vLLM samples, each of as many tokens as it lets it have."""
    most = get_max_tokens(CONTEXT, said, 1, {})
    if request.use_beam_search:
        params = request.to_beam_search_params(most, {})
        return int(params.beam_width * params.max_tokens)
    params = request.to_sampling_params(most, {})
    return int(params.n * params.max_tokens)


def response_use(request: Any) -> int:
    """As `chat_use`, for `responses/serving.py`."""
    return int(request.to_sampling_params(CONTEXT - 1, {}).max_tokens)


def message_use(request: Any) -> int:
    """As `chat_use`, for the chat request that `anthropic/serving.py` makes of a message."""
    return min(int(request.max_tokens), CONTEXT - 1)


# Fields with whole numbers in them that make an answer neither longer nor more: what vLLM 0.32.0 has.
NO_SIZES = frozenset(
    {
        "allowed_token_ids",
        "include",
        "input",
        "logprob_token_ids",
        "logprobs",
        "max_tool_calls",
        "messages",
        "min_tokens",
        "output_config",
        "priority",
        "prompt",
        "prompt_logprobs",
        "response_format",
        "routed_experts_prompt_start",
        "seed",
        "stop_token_ids",
        "stream_interval",
        "stream_options",
        "system",
        "thinking",
        "thinking_token_budget",
        "tool_choice",
        "tools",
        "top_k",
        "top_logprobs",
        "truncate_prompt_tokens",
        "vllm_xargs",
    }
)
USES: Mapping[str, Callable[[Any], int]] = {
    "chat_completions": chat_use,
    "completions": completion_use,
    "responses": response_use,
    "messages": message_use,
}


def accepted(endpoint: str, body: bytes) -> BaseModel | None:
    """The request that vLLM reads from `body`, None where it refuses it."""
    try:
        made: BaseModel = MODELS[endpoint].model_validate(json.loads(body))
    except (ValidationError, VLLMValidationError, ValueError):
        return None
    return made


def use_of(endpoint: str, body: bytes) -> int:
    """The most tokens that vLLM generates for `body`; none where it refuses it."""
    request = accepted(endpoint, body)
    if request is None:
        return 0
    try:
        return USES[endpoint](request)
    except (VLLMValidationError, ValueError):
        # Its sampling parameters refuse what its request model let through.
        return 0


@given(
    endpoint=st.sampled_from(sorted(BODIES)),
    sizes=SIZES,
    prompt=PROMPTS,
    context=st.sampled_from([None, CONTEXT]),
)
@settings(max_examples=600, deadline=None)
def test_no_body_that_vllm_accepts_uses_more_than_was_set_aside(
    endpoint: str, sizes: dict[str, Any], prompt: Any, context: int | None
) -> None:
    fields = {**BODIES[endpoint], **sizes} | ({"prompt": prompt} if endpoint == "completions" else {})
    try:
        sent, need = bounded(json.dumps(fields).encode(), endpoint, RATES, context)
    except InvalidRequest:
        return
    assert use_of(endpoint, sent) <= need.answer


@given(
    endpoint=st.sampled_from(sorted(BODIES)),
    sizes=SIZES,
    most=st.integers(1, 64),
)
@settings(max_examples=600, deadline=None)
def test_no_body_has_longer_answers_than_its_route_lets_it(endpoint: str, sizes: dict[str, Any], most: int) -> None:
    route = RouteConfig(model="m", limits=Sampling(max_tokens=most))
    fields = {**BODIES[endpoint], **sizes}
    try:
        sent = rewritten(json.dumps(fields).encode(), endpoint, "m", route)
    except InvalidRequest:
        return
    request: Any = accepted(endpoint, sent)
    answers = 1 if request is None else max(1, getattr(request, "n", 1) or 1)
    assert use_of(endpoint, sent) <= most * answers


@given(name=st.sampled_from(["temperature", "top_p", "top_k"]), value=VALUES)
@settings(max_examples=300, deadline=None)
def test_no_value_passes_a_routes_limit_in_another_form(name: str, value: Any) -> None:
    limit = {"temperature": 0.5, "top_p": 0.5, "top_k": 5}[name]
    route = RouteConfig(model="m", limits=Sampling.model_validate({name: limit}))
    try:
        sent = rewritten(
            json.dumps({**BODIES["chat_completions"], name: value}).encode(), "chat_completions", "m", route
        )
    except InvalidRequest:
        return
    request: Any = accepted("chat_completions", sent)
    if request is None:
        return
    try:
        params = request.to_sampling_params(16, {})
    except (VLLMValidationError, ValueError):
        return
    assert getattr(params, name) <= limit
    assert name != "top_k" or params.top_k > 0


@pytest.mark.parametrize("endpoint", sorted(MODELS))
def test_each_numeric_field_of_vllms_models_is_a_size_or_known_to_be_none(endpoint: str) -> None:
    """A field that a new vLLM brings is looked at: it may be another way to ask for more."""
    known = {*FIELDS[endpoint].tokens, *FIELDS[endpoint].answers, *NO_SIZES}
    numeric = {name for name, field in MODELS[endpoint].model_fields.items() if "int" in str(field.annotation)}
    assert numeric <= known


def test_the_context_bounds_what_is_set_aside() -> None:
    body = json.dumps({**BODIES["chat_completions"], "max_tokens": 10**9, "n": 2}).encode()
    sent, need = bounded(body, "chat_completions", RATES, CONTEXT)
    assert need.answer == 2 * CONTEXT
    assert json.loads(sent)["max_completion_tokens"] == CONTEXT


def test_an_image_is_set_aside_as_a_full_context_and_no_more() -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 9000}}
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": [part]}]}).encode()
    assert bounded(body, "chat_completions", RATES, CONTEXT)[1].prompt == CONTEXT
    small = json.dumps({"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]}).encode()
    assert bounded(small, "chat_completions", RATES, CONTEXT)[1].prompt == CONTEXT


def test_prompts_by_token_ids_are_counted_by_the_id() -> None:
    rates = SimpleNamespace(answer_tokens=1, bytes_per_token=4)
    body = json.dumps({"model": "m", "prompt": [[1] * 300, [2] * 300]}, separators=(",", ":")).encode()
    _, need = bounded(body, "completions", rates, None)  # type: ignore[arg-type]
    assert need.prompt >= 600
    assert need.answer == 2 * 16
