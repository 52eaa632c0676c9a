"""The official `anthropic` client on real vLLM."""

from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import pytest
from anthropic import Anthropic
from openai import OpenAI

from tests.engine.conftest import Stack
from tests.engine.test_endpoints import TICKET, answer, user

pytestmark = pytest.mark.engine
GREEDY: dict[str, object] = {"temperature": 0}
TOOL: Any = {
    "name": "file_ticket",
    "description": "Files a ticket",
    "input_schema": {
        "type": "object",
        "properties": {"urgent": {"type": "boolean"}},
        "required": ["urgent"],
        "additionalProperties": False,
    },
}


@pytest.fixture
def claude(stack: Stack) -> Iterator[Anthropic]:
    with Anthropic(base_url=stack.url, api_key="unused", max_retries=0, timeout=60) as made:
        yield made


def ask(claude: Anthropic, model: str = "label", **options: Any) -> Any:
    given: dict[str, Any] = {"model": model, "messages": user(TICKET), "max_tokens": 64, "extra_body": GREEDY}
    return claude.messages.create(**given | options)


def test_a_message_says_what_the_chat_says_and_counts_its_tokens(claude: Anthropic, client: OpenAI) -> None:
    message = ask(claude)
    assert message.content[0].text == answer(client, "label")
    assert (message.role, message.stop_reason) == ("assistant", "end_turn")
    assert message.usage.input_tokens > 5
    assert message.usage.output_tokens > 1


def test_a_streamed_message_adds_up_to_the_whole_one(claude: Anthropic) -> None:
    with claude.messages.stream(model="label", messages=user(TICKET), max_tokens=64, extra_body=GREEDY) as stream:  # type: ignore[arg-type]
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == ask(claude).content[0].text == final.content[0].text  # type: ignore[union-attr]
    assert final.stop_reason == "end_turn"


def test_a_system_prompt_several_turns_and_a_stop_sequence_are_taken(claude: Anthropic) -> None:
    turns = [*user("Hello"), {"role": "assistant", "content": "Hello, how can I help?"}, *user(TICKET)]
    message = ask(claude, "demo-base", system="You work at a support desk.", messages=turns, max_tokens=8)
    assert message.usage.input_tokens > 20
    whole = ask(claude).content[0].text
    cut = ask(claude, stop_sequences=[whole[3:5]])
    assert whole[3:5] not in (cut.content[0].text if cut.content else "")


def test_the_limit_of_tokens_is_told_as_the_reason(claude: Anthropic) -> None:
    assert ask(claude, max_tokens=1).stop_reason == "max_tokens"


def test_a_tool_is_called_with_its_input(claude: Anthropic) -> None:
    choice = {"type": "tool", "name": "file_ticket"}
    message = ask(claude, "style", tools=[TOOL], tool_choice=choice, messages=user("My invoice 4411 is wrong"))
    used = next(block for block in message.content if block.type == "tool_use")
    assert used.name == "file_ticket"
    assert isinstance(used.input, dict)
    assert message.stop_reason == "tool_use"


def test_tokens_are_counted_without_an_answer(claude: Anthropic) -> None:
    counted = claude.messages.count_tokens(model="label", messages=user(TICKET))  # type: ignore[arg-type]
    assert counted.input_tokens == ask(claude).usage.input_tokens


def test_errors_are_the_clients_own_classes_with_anthropics_types(claude: Anthropic, stack: Stack) -> None:
    with pytest.raises(anthropic.NotFoundError) as unknown:
        ask(claude, "nope")
    assert unknown.value.body["error"]["type"] == "not_found_error"  # type: ignore[index]
    with pytest.raises(anthropic.BadRequestError) as wrong:
        ask(claude, extra_body={"temperature": "hot"})
    assert wrong.value.body["error"]["type"] == "invalid_request_error"  # type: ignore[index]
    without_json = httpx.post(f"{stack.url}/v1/messages", content=b"{")
    assert without_json.json()["type"] == "error"


def test_where_it_came_from_is_told(claude: Anthropic) -> None:
    raw = claude.messages.with_raw_response.create(
        model="sql",
        messages=user(TICKET),  # type: ignore[arg-type]
        max_tokens=4,
    )
    assert raw.headers["x-patchbay-adapter"] == "sql@1"
    assert raw.headers["x-patchbay-arm"] == "stable"
    assert len(raw.headers["x-patchbay-digest"]) == 64
