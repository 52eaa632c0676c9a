"""Keys of JSON that is read string by string: they name their values, as they do in a text of JSON."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from patchbay.core.offload import Offload
from patchbay.core.settings import parse_settings
from patchbay.guards.config import GuardsConfig
from patchbay.guards.judges.judge import JudgeFailed, TextOrigin
from patchbay.guards.judges.judges import Judges
from patchbay.guards.pipeline import Guards, compile_guards
from patchbay.guards.session import GuardSession
from patchbay.guards.stream.channel import Channel
from patchbay.router.cli.guard_texts import texts_of_line

KEY = "q7Zt4Xw9Lk2Vb8Nc6Md3"


async def nobody(model: str, fields: dict[str, object], near: str) -> bytes:
    raise JudgeFailed("nobody is asked here")


@pytest.fixture(scope="module")
def guards(tmp_path_factory: pytest.TempPathFactory) -> Guards:
    # Few rules, so that they are compiled in no time.
    from patchbay.guards.rules.catalog import SETS

    kept = {"us-ssn-named", "secret-assigned", "bank-account"}
    without = [rule.name for name in ("pii", "secrets") for rule in SETS[name] if rule.name not in kept]
    guard = {"kind": "rules", "sets": ["pii", "secrets"], "without": without, "action": "redact"}
    config = parse_settings(GuardsConfig, {"guards": {"g": guard}, "guard_all": ["g"]}, source="x")
    return compile_guards(config, [()], tmp_path_factory.mktemp("rules"), None)


def session(guards: Guards, endpoint: str) -> GuardSession:
    return GuardSession(
        pipeline=guards.pipeline((), "") or pytest.fail("it has guards"),
        endpoint=endpoint,
        key=b"key",
        judges=Judges(ask=nobody, again=nobody, wanted=list),
        facts=TextOrigin(request="r"),
        offload=Offload(),
    )


CASES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"ssn": "536228714"}, {"ssn": "[SSN]"}),
    ({"ssn": 536228714}, {"ssn": "[SSN]"}),
    ({"Social-Security-Number": "536228714"}, {"Social-Security-Number": "[SSN]"}),
    ({"ssn": ["536228714", "536228715"]}, {"ssn": ["[SSN]", "[SSN]"]}),
    ({"ssn": {"value": "536228714"}}, {"ssn": {"value": "[SSN]"}}),
    ({"rows": [{"ssn": "536228714"}]}, {"rows": [{"ssn": "[SSN]"}]}),
    ({"api_key": KEY}, {"api_key": "[SECRET]"}),
    ({"note": "536228714", "public_key": KEY}, {"note": "536228714", "public_key": KEY}),
    # A key names what is below it, and not what is beside it.
    ({"ssn": "none", "order": "536228714"}, {"ssn": "none", "order": "536228714"}),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("given", "redacted"), CASES)
async def test_a_key_does_not_name_its_value_in_a_request(
    guards: Guards, given: dict[str, Any], redacted: dict[str, Any]
) -> None:
    body = {"messages": [{"role": "user", "content": "hi"}], "metadata": given, "documents": [given]}
    sent = json.loads(await session(guards, "chat_completions").checked(json.dumps(body).encode()))
    assert sent["metadata"] == redacted
    assert sent["documents"] == [redacted]


@pytest.mark.anyio
@pytest.mark.parametrize(("given", "redacted"), CASES)
async def test_a_key_does_not_name_its_value_in_an_answer(
    guards: Guards, given: dict[str, Any], redacted: dict[str, Any]
) -> None:
    content = [{"type": "tool_use", "id": "t", "name": "f", "input": given}]
    answer = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": content}
    made = session(guards, "messages")
    await made.checked(json.dumps({"messages": [{"role": "user", "content": "hi"}]}).encode())
    assert json.loads(await made.whole(json.dumps(answer).encode()))["content"][0]["input"] == redacted


@pytest.mark.anyio
@pytest.mark.parametrize("step", [1, 3, 1000])
async def test_a_key_does_not_name_its_value_in_streamed_arguments(guards: Guards, step: int) -> None:
    made = session(guards, "chat_completions")
    await made.checked(json.dumps({"messages": [{"role": "user", "content": "hi"}]}).encode())
    text = json.dumps({"a": 1, "ssn": "536228714", "b": [536228714]})
    codec = made.codec(lambda: (0, 0))
    out = b""
    for at in range(0, len(text), step):
        call = {"index": 0, "function": {"arguments": text[at : at + step]}}
        chunk = {"id": "x", "choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}]}
        out += codec.feed(b"data: " + json.dumps(chunk).encode() + b"\n\n")
    out += codec.feed(b'data: {"id":"x","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}\n\n')
    out += codec.feed(b"data: [DONE]\n\n") + codec.finish()
    events = [json.loads(line[6:]) for line in out.splitlines() if line.startswith(b"data: {")]
    deltas = [one["choices"][0]["delta"] for one in events]
    said = "".join(call["function"].get("arguments", "") for one in deltas for call in one.get("tool_calls", ()))
    assert json.loads(said) == {"a": 1, "ssn": "[SSN]", "b": ["[SSN]"]}


def test_a_field_of_a_data_set_does_not_name_its_value(guards: Guards, tmp_path: Path) -> None:
    pipeline = guards.pipeline((), "") or pytest.fail("it has guards")
    found = []
    for text in texts_of_line(json.dumps({"a": {"ssn": "536228714"}, "n": 536228714}), 1, ()):
        watch = pipeline.watches("input", None, escaped=False, lead=text.lead)[0]
        states = [*(watch.feed(piece) for piece in text.pieces), watch.finish()]
        found += [(text.place, span.start, span.end) for state in states for span in state.spans]
    assert found == [("a.ssn", 0, 9)]


def redacted(guards: Guards, *pieces: str) -> str:
    pipeline = guards.pipeline((), "") or pytest.fail("it has guards")
    channel = Channel(pipeline.watches("output", None, escaped=False), lambda span: f"[{span.kind}]")
    return "".join([*(channel.feed(piece).text for piece in pieces), channel.finish().text])


@pytest.mark.parametrize(
    ("text", "out"),
    [
        ("536228714 is my SSN", "[SSN] is my SSN"),
        ("536228714 IS MY SSN.", "[SSN] IS MY SSN."),
        ("536228714 (SSN)", "[SSN] (SSN)"),
        ("536228714 = social security number", "[SSN] = social security number"),
        ("536228714, is the  SSN", "536228714, is the  SSN"),
        ("536228714 is my order, and no SSN", "536228714 is my order, and no SSN"),
        ("536228714\nSSN", "536228714\nSSN"),
        (f"api_keys: [{KEY}, x{KEY}]", "api_keys: [[SECRET], [SECRET]]"),
        (f"API_KEYS={KEY},x{KEY},y{KEY}", "API_KEYS=[SECRET],[SECRET],[SECRET]"),
        (f"tokens:\n  - {KEY}\n  - x{KEY}", "tokens:\n  - [SECRET]\n  - [SECRET]"),
        (f"api_key: {KEY}\nname: x{KEY}", f"api_key: [SECRET]\nname: x{KEY}"),
    ],
)
def test_a_word_after_a_number_and_a_name_of_a_list_name_nothing(guards: Guards, text: str, out: str) -> None:
    assert redacted(guards, text) == out


WORDS = st.sampled_from(
    ["536228714", " ", "is", "my", "SSN", "s", "social", "security", "number", "(", " is my ", ",", ".", "\n", "=", "a"]
)


@drawn(words=st.lists(WORDS, max_size=14), places=st.lists(st.integers(0, 100), max_size=8))
@settings(deadline=None, max_examples=300)
def test_what_is_named_after_it_depends_on_the_cuts(guards: Guards, words: list[str], places: list[int]) -> None:
    text = "".join(words)
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    pieces = [text[start:end] for start, end in pairwise(edges)]
    assert redacted(guards, *pieces) == redacted(guards, text)
