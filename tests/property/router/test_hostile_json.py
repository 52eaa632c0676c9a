"""JSON documents that are wrong where nobody looks first: each is refused as its client's fault on every way through
the router, and none is a fault of the router."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patchbay.router.process.app import Router
from tests.fakes.engine import FakeEngine, revision
from tests.fakes.odd_json import NESTED, ODD, post
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


# Limits that nobody reaches, by which all is counted.
LIMITED: dict[str, Any] = {
    "tiers": {
        "default": {
            "limits": {
                "tokens_per_minute": 10**12,
                "requests_per_minute": 10**9,
                "tokens_per_day": 10**12,
                "money_per_day": 1e9,
                "concurrent": 1000,
            },
            "degrade": {"when_waiting_s": 0.000001, "max_tokens": 9},
        }
    },
    "prices": {"default": {"prompt": 1, "answer": 2}},
}


@pytest.fixture(scope="module", params=[{}, LIMITED], ids=["without limits", "with limits"])
def router(request: pytest.FixtureRequest) -> Iterator[Router]:
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
        **request.param,
    }
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


@settings(max_examples=800, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(documents())
def test_no_document_is_a_fault_of_the_router(router: Router, asked: tuple[str, bytes]) -> None:
    status, answer = post(router.url, *asked)
    assert status < 500, (status, answer[:300], asked[1][:300])
    if status != 200:
        assert json.loads(answer)["error"]["message"]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("odd", ["bad UTF-8", "too large a number", "5000 digits", "half a pair", "NaN", "deeper"])
def test_what_no_json_reader_takes_is_refused_or_left_to_the_engine(router: Router, model: str, odd: str) -> None:
    body = b'{"model": "%b", "messages": [{"role": "user", "content": "x"}], "unread": %b}' % (model.encode(), ODD[odd])
    status, answer = post(router.url, "/v1/chat/completions", body)
    assert status == 400 or (status == 200 and odd in ("too large a number", "5000 digits")), answer
    if status == 400:
        assert json.loads(answer)["error"]["message"]
