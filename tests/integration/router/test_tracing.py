"""Traces that arrive at a collector: one span a request, in the client's trace, and the replica's parent."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from patchbay.core.errors import ConfigError
from patchbay.router.process.app import Router
from patchbay.router.telemetry.tracing import TracingConfig, open_tracer
from tests.fakes.collector import FakeCollector, attributes
from tests.fakes.engine import FakeEngine, revision
from tests.fakes.routers import free_port, running_router
from tests.integration.router.wire import ask, client_of, post

pytestmark = pytest.mark.anyio

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
ROUTES = {"ask": {"model": "sql"}}
OFF = """
import asyncio, sys
from patchbay.router.process.app import Router
from patchbay.router.settings.config import RouterConfig
async def build():
    return Router(RouterConfig(replicas=["http://127.0.0.1:1"], port=0, admin_port=0))
asyncio.run(build())
heavy = ("opentelemetry", "google.protobuf", "patchbay.router.telemetry.spans")
print([name for name in sys.modules if name.startswith(heavy)])
"""


@asynccontextmanager
async def traced(collector: FakeCollector, engine: FakeEngine, **tracing: Any) -> AsyncIterator[Router]:
    """A router whose spans are all at `collector` once the block has ended."""
    async with collector.running():
        settings = {"endpoint": collector.url, **tracing}
        async with running_router(engine, routes=ROUTES, tracing=settings) as router:
            yield router


def sql() -> FakeEngine:
    return FakeEngine(revisions=(revision("sql", 3),))


@pytest.mark.parametrize("stream", [False, True])
async def test_a_span_tells_who_answered_and_is_the_replicas_parent(stream: bool) -> None:
    collector, fake = FakeCollector(), sql()
    async with traced(collector, fake, sample=0) as router:
        answer = await post(router, ask("ask", stream=stream), traceparent=f"00-{TRACE}-{CALLER}-01")
    [span] = collector.spans
    told = attributes(span)
    assert (span.trace_id.hex(), span.parent_span_id.hex(), span.name) == (TRACE, CALLER, "chat ask")
    assert span.kind == Span.SPAN_KIND_SERVER
    sent = fake.seen[0].headers["traceparent"]
    assert sent == answer.headers["traceparent"] == f"00-{TRACE}-{span.span_id.hex()}-01"
    assert 0 < span.end_time_unix_nano - span.start_time_unix_nano < 10e9
    assert (
        told.items()
        >= {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "ask",
            "gen_ai.response.model": "sql@3",
            "gen_ai.usage.input_tokens": 3 if stream else 1,
            "gen_ai.usage.output_tokens": 3,
            "http.response.status_code": 200,
            "server.address": "127.0.0.1",
            "patchbay.route": "ask",
            "patchbay.adapter": "sql",
            "patchbay.arm": "stable",
            "patchbay.replica": "replica-0",
        }.items()
    )
    assert ("patchbay.ttft_seconds" in told) == stream


async def test_no_text_leaves_in_a_span_and_the_collector_gets_its_key() -> None:
    collector, fake = FakeCollector(), sql()
    async with traced(collector, fake, headers={"x-key": "collector-key"}) as router:
        await post(router, ask("ask", messages=[{"role": "user", "content": "PROMPT-SECRET"}]))
        await post(router, ask("MODEL-SECRET"))
        await post(router, path="/v1/PATH-SECRET")
    assert [span.name for span in collector.spans] == ["chat ask", "chat", "other"]
    assert collector.headers[0]["x-key"] == "collector-key"
    body = b"".join(collector.bodies)
    for text in (b"-SECRET", b"sql@3-", b"collector-key"):
        assert text not in body


async def test_what_the_client_does_not_sample_is_not_traced_whatever_the_share() -> None:
    collector, fake = FakeCollector(), sql()
    async with traced(collector, fake, sample=1) as router:
        await post(router, ask("ask"), traceparent=f"00-{TRACE}-{CALLER}-00")
        await post(router, ask("ask"))
        async with client_of(router) as client:
            await client.get("/healthz")
    assert [span.trace_id.hex() == TRACE for span in collector.spans] == [False]
    assert fake.seen[0].headers["traceparent"].endswith("-00")
    assert fake.seen[1].headers["traceparent"].endswith("-01")


async def test_without_a_share_nothing_is_traced_that_no_client_traces() -> None:
    collector, fake = FakeCollector(), sql()
    async with traced(collector, fake, sample=0) as router:
        await post(router, ask("ask"))
    assert collector.spans == []


async def test_a_failed_request_is_an_error_in_its_trace() -> None:
    collector, fake = FakeCollector(), sql()
    fake.script.fault = "error_500"
    async with traced(collector, fake) as router:
        await post(router, ask("ask"))
    [span] = collector.spans
    assert span.status.code == Status.STATUS_CODE_ERROR
    assert attributes(span)["error.type"] == "server_error"


async def test_a_collector_that_is_away_costs_no_request_anything() -> None:
    tracing = {"endpoint": f"http://127.0.0.1:{free_port()}"}
    async with running_router(sql(), routes=ROUTES, tracing=tracing) as router:
        answers = [await post(router, ask("ask")) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3


def test_without_tracing_nothing_of_opentelemetry_is_imported() -> None:
    done = subprocess.run([sys.executable, "-c", OFF], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_tracing_without_the_sdk_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "patchbay.router.telemetry.spans", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigError, match="not installed"):
        open_tracer(TracingConfig(endpoint="http://127.0.0.1:4318"), "http://127.0.0.1:8080")


def test_an_endpoint_that_is_only_a_host_gets_otlps_own_path() -> None:
    assert TracingConfig(endpoint="http://otel:4318").endpoint == "http://otel:4318/v1/traces"
    assert TracingConfig(endpoint="https://otel/custom").endpoint == "https://otel/custom"
    with pytest.raises(ValueError, match="http://HOST:PORT"):
        TracingConfig(endpoint="otel:4318")
