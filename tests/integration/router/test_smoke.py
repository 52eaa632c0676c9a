"""The smoke test of a revision: good adapters on every kind of base pass, and what fails is called what it is."""

import json

import pytest

from patchbay.registry.records import GoldenPrompt
from patchbay.router.control.replicas import ReplicaControl
from patchbay.router.control.smoke import smoke_test
from patchbay.router.upstream.client import ReplicaClient
from tests.fakes.engine import TOKEN, FakeEngine, Script, revision

pytestmark = pytest.mark.anyio
SQL = revision("sql")


def message(**fields: object) -> Script:
    body = {"choices": [{"index": 0, "message": {"role": "assistant", **fields}}]}
    return Script(fault="answer_200", body=json.dumps(body).encode())


async def refusal_of(fake: FakeEngine, *golden: GoldenPrompt) -> str | None:
    async with (
        fake.running_server(),
        ReplicaClient(fake.url, connect_timeout_s=5, read_timeout_s=5) as client,
    ):
        control = ReplicaControl(client, TOKEN)
        return await smoke_test(control, model="sql@1", engine_name=SQL.engine_name, base="demo-base", golden=golden)


def engine(script: Script, *, base: Script | None = None) -> FakeEngine:
    fake = FakeEngine(revisions=(SQL,))
    fake.scripts["sql@1"] = script
    fake.script = base or Script()
    return fake


@pytest.mark.parametrize(
    "script",
    [
        Script(words=("Hello!",)),
        Script(words=(" \n",)),
        message(content=None, reasoning="Let me think"),
        message(content=None, reasoning_content="Let me think"),
        message(content=None, tool_calls=[{"id": "t", "type": "function", "function": {"name": "f"}}]),
    ],
    ids=["text", "white space", "reasoning", "older reasoning", "tool call"],
)
async def test_an_adapter_without_golden_prompts_is_not_refused_for_how_it_answers_a_greeting(script: Script) -> None:
    assert await refusal_of(engine(script)) is None


async def test_one_that_says_nothing_is_refused_only_where_the_base_says_something() -> None:
    silent = message(content="")
    assert await refusal_of(engine(silent, base=silent)) is None
    reason = await refusal_of(engine(silent))
    assert reason is not None
    assert "says nothing" in reason
    assert "golden prompt 1" not in reason


async def test_one_that_fails_is_refused_with_the_engines_words_and_not_as_a_golden_prompt() -> None:
    reason = await refusal_of(engine(Script(fault="error_500")))
    assert reason is not None
    assert "fake trouble" in reason
    assert "golden prompt 1" not in reason


async def test_a_base_without_a_chat_template_is_asked_to_go_on_with_a_text() -> None:
    fake = engine(Script(words=("fine",)))
    fake.has_chat_template = False
    assert await refusal_of(fake) is None
    assert (fake.seen[-1].path, fake.seen[-1].json["prompt"]) == ("/v1/completions", "Hello")
    golden = GoldenPrompt(messages=({"role": "user", "content": "q"},), contains="another word")
    reason = await refusal_of(fake, golden)
    assert reason is not None
    assert reason.startswith("golden prompt 1: the answer is 'fine'")


async def test_a_golden_prompt_without_an_expectation_is_passed_by_thoughts_alone() -> None:
    golden = GoldenPrompt(messages=({"role": "user", "content": "q"},))
    assert await refusal_of(engine(message(content=None, reasoning="hm")), golden) is None
    assert await refusal_of(engine(message(content=None)), golden) == "golden prompt 1: the answer is empty"
