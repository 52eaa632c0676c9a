"""Every endpoint, streamed and not, by the stock `openai` client through the router, on real vLLM."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam

from patchbay.tuning.demo.corpus import task_examples
from patchbay.tuning.demo.recipe import SHIPPED_SEED
from tests.engine.conftest import Stack

pytestmark = pytest.mark.engine
BASE = "demo-base"
ADAPTERS = ["json", "label", "label-bad", "safety", "sql", "style"]
ROUTES = ["auto", "general", "desk-json", "desk-label", "desk-sql", "desk-style"]
TICKET = task_examples("label", SHIPPED_SEED, 1, held_out=True)[0].messages[0].content
REQUEST = task_examples("sql", SHIPPED_SEED, 1, held_out=True)[0].messages[0].content


def user(text: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": text}]


def answer(client: OpenAI, model: str, text: str = TICKET, **options: Any) -> str:
    done = client.chat.completions.create(model=model, messages=user(text), temperature=0, max_tokens=64, **options)
    return done.choices[0].message.content or ""


def test_models_are_the_base_its_adapters_their_revisions_and_the_routes(client: OpenAI) -> None:
    expected = {BASE, *ADAPTERS, *(f"{name}@1" for name in ADAPTERS), *ROUTES}
    deadline = time.monotonic() + 20
    # What other tests have just withdrawn stays until every router can know.
    while (listed := {model.id for model in client.models.list()}) != expected:
        assert expected <= listed
        assert time.monotonic() < deadline, listed - expected
        time.sleep(0.1)
    assert client.models.retrieve("sql@1").id == "sql@1"


def test_the_base_is_really_served_in_int4(stack: Stack) -> None:
    assert stack.status()["base"]["quantization"] == "compressed-tensors"


@pytest.mark.parametrize("task", ["json", "label", "sql", "style"])
def test_an_adapter_does_its_task_and_the_base_does_not(client: OpenAI, task: str) -> None:
    examples = task_examples(task, SHIPPED_SEED, 12, held_out=True)
    right = sum(answer(client, task, one.messages[0].content).strip() == one.answer for one in examples)
    by_base = sum(answer(client, BASE, one.messages[0].content).strip() == one.answer for one in examples)
    assert right >= 9, f"{right} of 12 right"
    assert by_base <= 5, f"the base has {by_base} of 12 right"


def test_adapters_in_one_batch_answer_as_each_does_alone_and_the_base_as_itself(client: OpenAI) -> None:
    models = [*ADAPTERS, BASE]
    alone = {model: answer(client, model) for model in models}
    with ThreadPoolExecutor(18) as pool:
        together = list(pool.map(lambda model: (model, answer(client, model)), models * 3))
    assert all(text == alone[model] for model, text in together)
    assert len({alone["json"], alone["label"], alone["style"], alone[BASE]}) == 4


def test_a_stream_says_what_the_whole_answer_says_and_ends_with_its_usage(client: OpenAI) -> None:
    whole = client.chat.completions.create(model="json", messages=user(TICKET), temperature=0, max_tokens=64)
    chunks = list(
        client.chat.completions.create(
            model="json",
            messages=user(TICKET),
            temperature=0,
            max_tokens=64,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    reasons = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    assert [reason for reason in reasons if reason] == ["stop"]
    usage = chunks[-1].usage
    assert usage is not None
    assert whole.usage is not None
    assert usage.completion_tokens == whole.usage.completion_tokens
    assert len(chunks) > 5


def test_the_exact_revision_is_named_in_the_answer(stack: Stack, client: OpenAI) -> None:
    names = {revision["adapter"]: revision["engine_name"] for revision in stack.status()["revisions"]}
    raw = client.chat.completions.with_raw_response.create(model="sql", messages=user(REQUEST), max_tokens=4)
    assert raw.parse().model == names["sql"]
    assert raw.headers["x-patchbay-adapter"] == "sql@1"


@pytest.mark.parametrize("stream", [False, True])
def test_completions(client: OpenAI, stream: bool) -> None:
    options: dict[str, Any] = {"model": BASE, "prompt": "Hello", "max_tokens": 8, "temperature": 0}
    if not stream:
        done = client.completions.create(**options)
        assert done.usage is not None
        assert done.usage.completion_tokens <= 8
        return
    chunks = list(client.completions.create(**options, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == client.completions.create(**options).choices[0].text


@pytest.mark.parametrize("stream", [False, True])
def test_responses(client: OpenAI, stream: bool) -> None:
    expected = answer(client, "label")
    if not stream:
        done = client.responses.create(model="label", input=TICKET, temperature=0, max_output_tokens=64)
        assert done.output_text == expected
        return
    events = list(
        client.responses.create(model="label", input=TICKET, temperature=0, max_output_tokens=64, stream=True)
    )
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == expected
    assert events[-1].type == "response.completed"


def test_several_choices_with_a_seed_come_out_the_same_twice(client: OpenAI) -> None:
    def choices() -> list[str | None]:
        done = client.chat.completions.create(
            model=BASE, messages=user(TICKET), n=3, seed=7, temperature=1.0, max_tokens=12
        )
        return [choice.message.content for choice in done.choices]

    first = choices()
    assert len(first) == 3
    assert first == choices()


def test_log_probabilities_go_with_every_token(client: OpenAI) -> None:
    done = client.chat.completions.create(
        model="sql", messages=user(REQUEST), temperature=0, max_tokens=6, logprobs=True, top_logprobs=2
    )
    logprobs = done.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert done.usage is not None
    assert len(logprobs.content) == done.usage.completion_tokens
    assert all(token.logprob <= 0 and len(token.top_logprobs) >= 2 for token in logprobs.content)


def test_a_stop_word_ends_the_answer_before_itself(client: OpenAI) -> None:
    text = answer(client, "sql", REQUEST)
    word = text.split()[2]
    assert answer(client, "sql", REQUEST, stop=[word]) == text[: text.index(word)]


def test_a_json_schema_is_kept_to_by_a_model_that_never_saw_it(client: OpenAI) -> None:
    schema: dict[str, object] = {
        "type": "object",
        "properties": {"ok": {"type": "boolean"}, "level": {"enum": ["low", "high"]}},
        "required": ["ok", "level"],
        "additionalProperties": False,
    }
    text = answer(
        client,
        BASE,
        response_format={"type": "json_schema", "json_schema": {"name": "verdict", "schema": schema, "strict": True}},
    )
    parsed = json.loads(text)
    assert set(parsed) == {"ok", "level"}
    assert parsed["level"] in ("low", "high")


TOOL: Any = {
    "type": "function",
    "function": {
        "name": "file_ticket",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"urgent": {"type": "boolean"}},
            "required": ["urgent"],
            "additionalProperties": False,
        },
    },
}
# The penalty keeps so small a model from writing spaces, which the grammar allows, until it runs out of tokens.
TOOL_CALL: dict[str, Any] = {"tools": [TOOL], "temperature": 0, "max_tokens": 80, "frequency_penalty": 2}
NAMED = {"type": "function", "function": {"name": "file_ticket"}}


@pytest.mark.parametrize("choice", [NAMED, "required"], ids=["named", "required"])
def test_a_tool_is_called_with_arguments_of_its_schema(client: OpenAI, choice: Any) -> None:
    done = client.chat.completions.create(model="json", messages=user(TICKET), tool_choice=choice, **TOOL_CALL)
    call = done.choices[0].message.tool_calls[0]
    assert call.function.name == "file_ticket"
    assert isinstance(json.loads(call.function.arguments)["urgent"], bool)


def test_a_streamed_tool_call_adds_up_to_the_whole_one(client: OpenAI) -> None:
    options: dict[str, Any] = {"model": "json", "messages": user(TICKET), "tool_choice": "required", **TOOL_CALL}
    whole = client.chat.completions.create(**options).choices[0].message.tool_calls[0].function
    chunks = list(client.chat.completions.create(**options, stream=True))
    calls = [call.function for chunk in chunks for choice in chunk.choices for call in choice.delta.tool_calls or ()]
    assert [call.name for call in calls if call.name] == [whole.name]
    arguments = "".join(call.arguments or "" for call in calls)
    assert json.loads(arguments) == json.loads(whole.arguments)


@pytest.mark.parametrize("tokens", [3, 9, 30, 50])
@pytest.mark.parametrize("choice", [NAMED, "required"], ids=["named", "required"])
def test_a_call_that_is_cut_off_is_told_whole_as_it_is_streamed(client: OpenAI, choice: Any, tokens: int) -> None:
    options = {"model": "json", "messages": user(TICKET), **TOOL_CALL, "tool_choice": choice, "max_tokens": tokens}
    done = client.chat.completions.create(**options).choices[0]
    chunks = list(client.chat.completions.create(**options, stream=True))
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    calls = [call.function for delta in deltas for call in delta.tool_calls or ()]
    assert done.finish_reason == "length"
    assert "<t" not in (done.message.content or "") + "".join(delta.content or "" for delta in deltas)
    told = [call.function for call in done.message.tool_calls or ()]
    assert {call.name for call in calls if call.name} <= {call.name for call in told}
    assert "".join(call.arguments for call in told).startswith("".join(call.arguments or "" for call in calls))


def test_a_conversation_of_several_turns_is_taken(client: OpenAI) -> None:
    messages: list[ChatCompletionMessageParam] = [
        {"role": "system", "content": "You work at a support desk."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hello, how can I help?"},
        {"role": "user", "content": TICKET},
    ]
    done = client.chat.completions.create(model=BASE, messages=messages, max_tokens=8)
    assert done.usage is not None
    assert done.usage.prompt_tokens > 20


def test_embeddings_of_a_base_that_has_none_are_refused_and_not_made_up(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="cannot embed"):
        client.embeddings.create(model=BASE, input="hello", encoding_format="float")


def test_tokens_of_a_text_are_told_by_the_replica(stack: Stack) -> None:
    with stack.replica() as replica:
        tokens = replica.post("/tokenize", json={"model": "sql", "prompt": "Hello 42"}).json()["tokens"]
        back = replica.post("/detokenize", json={"model": "sql", "tokens": tokens}).json()["prompt"]
    assert back.endswith("Hello 42")


def test_an_unknown_model_is_openais_404(client: OpenAI) -> None:
    for model in ("nope", "sql@9", "../../etc/passwd", "/etc"):
        with pytest.raises(openai.NotFoundError) as caught:
            answer(client, model)
        assert caught.value.code == "model_not_found"
        assert caught.value.param == "model"


@pytest.mark.parametrize("fields", [{"messages": "x"}, {"max_tokens": -1}, {"temperature": "hot"}, {"n": 0}])
def test_wrong_types_are_400_in_openais_shape(stack: Stack, fields: dict[str, Any]) -> None:
    body = {"model": "sql", "messages": [{"role": "user", "content": "x"}]} | fields
    refused = httpx.post(f"{stack.url}/v1/chat/completions", json=body)
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"]
    assert not isinstance(error["code"], int)


def test_a_prompt_longer_than_the_model_reads_is_400_and_says_how_long(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="2048"):
        answer(client, BASE, "word " * 4000)


@pytest.mark.parametrize("stream", [False, True])
def test_a_kept_response_is_gone_on_from_as_if_all_of_it_were_sent(client: OpenAI, stream: bool) -> None:
    options: dict[str, Any] = {"model": "label", "temperature": 0, "max_output_tokens": 24}
    first = client.responses.create(input=TICKET, **options)
    if stream:
        events = list(client.responses.create(input="And now?", previous_response_id=first.id, stream=True, **options))
        second = events[-1].response
    else:
        second = client.responses.create(input="And now?", previous_response_id=first.id, **options)
    sent: list[Any] = [
        {"role": "user", "content": TICKET},
        *(item.model_dump(mode="json", exclude_unset=True) for item in first.output),
        {"role": "user", "content": "And now?"},
    ]
    whole = client.responses.create(input=sent, store=False, **options)
    assert (second.previous_response_id, second.output_text) == (first.id, whole.output_text)
    assert second.usage is not None
    assert whole.usage is not None
    assert second.usage.input_tokens == whole.usage.input_tokens
    assert client.responses.retrieve(second.id).output_text == second.output_text
    client.responses.delete(first.id)
    with pytest.raises(openai.BadRequestError, match="not found"):
        client.responses.create(input="So?", previous_response_id=second.id, **options)
