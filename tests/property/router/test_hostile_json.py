"""JSON documents that are wrong where nobody looks first: each is refused as its client's fault on every way through
the router, and none is a fault of the router."""

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router.app import Router
from tests.fakes.engine import FakeEngine, revision
from tests.fakes.routers import threaded_router

ENDPOINTS = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/tokenize",
    "/v1/feedback",
)
MODELS = ("demo-base", "sql", "plain", "ruled", "guarded", "templated", "cached", "formed", "auto")
# Values that JSON readers take in different ways, or not at all.
ODD = {
    "bad UTF-8": b'"\xff\xfe"',
    "cut UTF-8": b'"\xe2\x82"',
    "a surrogate as UTF-8": b'"\xed\xa0\x80"',
    "half a pair": rb'"\ud800"',
    "the other half": rb'"\udc00 x"',
    "pairs the wrong way": rb'"\udc00\ud800"',
    "too large a number": b"1e999",
    "too small a number": b"-1e999",
    "5000 digits": b"9" * 5000,
    "5000 places": b"0." + b"9" * 5000,
    "more than 64 bits": b"123456789012345678901234567890",
    "NaN": b"NaN",
    "Infinity": b"-Infinity",
    "deep": b"[" * 900 + b"]" * 900,
    "deeper": b"[" * 5000 + b"]" * 5000,
    "deep objects": b'{"a":' * 600 + b"1" + b"}" * 600,
    "never closed": b"[" * 5000,
    "twice": b'{"a": 1, "a": [2]}',
    "a control character": b'"a\x00b"',
    "a comment": b"/* */ 1",
    "a trailing comma": b"[1,]",
    "nothing": b"",
    "an escape": rb'"\x41"',
    "null": b"null",
    "a list": b"[]",
    "an object": b"{}",
    "true": b"true",
    "a text": b'"x"',
}
# Fields that someone on the way looks into, and one that nobody does.
FIELDS = (
    "unread",
    "messages",
    "prompt",
    "input",
    "system",
    "instructions",
    "metadata",
    "user",
    "tools",
    "n",
    "seed",
    "temperature",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "best_of",
    "store",
    "stream",
    "stream_options",
    "response_format",
    "text",
    "variables",
    "documents",
    "model",
)
SOUND = {
    "messages": b'[{"role": "user", "content": "hi"}]',
    "prompt": b'"hi"',
    "input": b'"hi"',
    "temperature": b"0",
    "completion_id": b'"chatcmpl-x"',
    "vote": b'"up"',
}
NESTED = (b"%b", b'[{"role": "user", "content": %b}]', b'[{"role": %b}]', b'{"a": %b}', b"[%b]", b'{"schema": %b}')


@pytest.fixture(scope="module")
def router() -> Iterator[Router]:
    rules = {"kind": "rules", "sets": ["pii"], "action": "redact"}
    plain: dict[str, Any] = {"model": "sql"}
    settings_: dict[str, Any] = {
        "guards": {"pii": rules, "form": {"kind": "schema", "action": "block"}, "leak": {"kind": "system_prompt"}},
        "routes": {
            "plain": plain,
            "ruled": {"model": "sql", "limits": {"max_tokens": 5, "temperature": 1}, "defaults": {"top_p": 0.5}},
            "guarded": {"model": "sql", "guards": ["pii", "leak"]},
            "templated": {
                "model": "sql",
                "template": {"id": "t", "version": 1, "messages": [{"content": "be nice"}]},
            },
            "cached": {"model": "sql", "cache": {"ttl_s": 60}, "shadow": {"model": "demo-base", "share": 1}},
            "formed": {"model": "sql", "guards": ["form"]},
        },
        "auto": {
            "general": "plain",
            "rules": [
                {"route": "ruled", "pattern": "sel+ect"},
                {"route": "guarded", "language": "de"},
                {"route": "cached", "metadata": {"a": "b"}},
            ],
        },
        "tiers": {"small": {"limits": {"tokens_per_minute": 10_000_000, "requests_per_minute": 1_000_000}}},
        "default_tier": "small",
    }
    settings_ = {name: value for name, value in settings_.items() if not name.endswith(("tiers", "tier"))}
    with threaded_router(FakeEngine(revisions=(revision("sql"),)), tokenizer_endpoints=True, **settings_) as made:
        yield made
        assert "patchbay_router_faults_total{" not in made.metrics.render().decode()


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, bytes]:
    fields = dict(SOUND)
    for name in draw(st.lists(st.sampled_from(FIELDS), min_size=1, max_size=3, unique=True)):
        odd = ODD[draw(st.sampled_from(sorted(ODD)))]
        fields[name] = draw(st.sampled_from(NESTED)).replace(b"%b", odd)
    model = draw(st.sampled_from(MODELS))
    fields.setdefault("model", json.dumps(model).encode())
    body = b", ".join(b"%b: %b" % (json.dumps(name).encode(), value) for name, value in fields.items())
    return draw(st.sampled_from(ENDPOINTS)), b"{" + body + b"}"


def ask(router: Router, path: str, body: bytes) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", int(router.url.rpartition(":")[2]), timeout=20)
    try:
        connection.request("POST", path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@settings(max_examples=1500, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(documents())
def test_no_document_is_a_fault_of_the_router(router: Router, asked: tuple[str, bytes]) -> None:
    status, answer = ask(router, *asked)
    assert status < 500, (status, answer[:300], asked[1][:300])
    if status != 200:
        assert json.loads(answer)["error"]["message"]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("odd", ["bad UTF-8", "too large a number", "5000 digits", "half a pair", "NaN", "deeper"])
def test_what_no_json_reader_takes_is_refused_or_left_to_the_engine(router: Router, model: str, odd: str) -> None:
    body = b'{"model": "%b", "messages": [{"role": "user", "content": "x"}], "unread": %b}' % (model.encode(), ODD[odd])
    status, answer = ask(router, "/v1/chat/completions", body)
    assert status == 400 or (status == 200 and odd in ("too large a number", "5000 digits")), answer
    if status == 400:
        assert json.loads(answer)["error"]["message"]
