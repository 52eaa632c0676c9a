"""The names and labels of every metric that there is: what the code's own registries expose, and vLLM's list."""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import msgspec
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from patchbay.router.fleet.snapshot import Target
from patchbay.router.http.trace_context import TraceSpan
from patchbay.router.telemetry.metrics import Metrics
from patchbay.router.telemetry.request_record import RequestRecord
from patchbay.server.metrics import ServerMetrics

ROOT = Path(__file__).parents[3]
OBSERVABILITY = ROOT / "deploy" / "observability"
# What Prometheus adds to whatever it scrapes.
TARGET = frozenset({"job", "namespace", "instance"})
_SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}

# vLLM's histograms have this bucket at least.
_SAID = {"le": "+Inf"}

Labels = frozenset[str]


@cache
def exposed() -> Mapping[str, Labels]:
    """The labels of each series that routers and replicas expose."""
    return {**_series(router_families()), **_series(server_families())}


@cache
def engine() -> Mapping[str, Labels]:
    """The labels of each series of vLLM's, by the list that is kept here."""
    found: dict[str, Labels] = {}
    for line in (OBSERVABILITY / "vllm_metrics.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, kind, labels = line.split()
            extra = {"le"} if kind == "histogram" else set()
            found |= {name + suffix: frozenset(labels.split(",")) | extra for suffix in _SUFFIXES[kind]}
    return found


def families(known: Mapping[str, Labels]) -> Mapping[str, Labels]:
    """The same without what a kind of metric adds to its names, as prose names a metric."""
    found = dict(known)
    for name, labels in known.items():
        for suffix in ("_total", "_bucket"):
            found.setdefault(name.removesuffix(suffix), labels)
    return found


def router_families() -> list[Metric]:
    """A router's metrics, each of which has been used."""
    return list(text_string_to_metric_families(_router_text()))


def server_families() -> list[Metric]:
    """A replica's own metrics, each of which has been used."""
    found = text_string_to_metric_families(_server_text())
    return [one for one in found if one.name.startswith("patchbay_")]


def exposition() -> str:
    """What a target would say that had every metric there is."""
    return (
        _router_text() + _server_text() + "".join(f"{name}{_braces(labels)} 1\n" for name, labels in engine().items())
    )


def _braces(labels: Labels) -> str:
    return "{" + ",".join(f'{label}="{_SAID.get(label, "0")}"' for label in sorted(labels)) + "}"


def _router_text() -> str:
    metrics = Metrics()
    _answer(metrics)
    _fail(metrics)
    _follow(metrics)
    return metrics.render().decode()


def _server_text() -> str:
    metrics = ServerMetrics()
    metrics.requests.labels(endpoint="chat_completions", outcome="ok").inc()
    metrics.adapters.labels(tier="slot").set(1)
    metrics.refusals.labels(reason="other").inc()
    metrics.not_finite.labels(of="adapter").inc()
    metrics.parity.labels(verdict="passed").inc()
    return metrics.render().decode()


def _series(made: Iterable[Metric]) -> dict[str, Labels]:
    return {sample.name: frozenset(sample.labels) for family in made for sample in family.samples}


def _answer(metrics: Metrics) -> None:
    metrics.requests.ended("chat_completions", "ok", "sql")
    metrics.requests.ended("chat_completions", "client_error", "")
    metrics.requests.first_byte("chat_completions", 0.1)
    metrics.requests.tokens("sql", 1, 1)
    metrics.requests.cached("hit")
    metrics.requests.shadowed("desk", "kept")
    metrics.requests.fell_back("desk")
    metrics.responses.kept()
    metrics.guards.verdict("pii", "EMAIL", "redact", "output", 1)
    metrics.requests.vote(Target(label="sql", engine_name="sql@1-0", revision="sql@1", replicas=(), arm="stable"), "up")
    span = TraceSpan(trace=b"0" * 32, id=b"0" * 16)
    one = RequestRecord(
        id=b"1",
        span=span,
        endpoint="chat_completions",
        outcome="ok",
        status=200,
        seconds=1.0,
        route="desk",
        adapter="sql",
        revision="sql@1",
        arm="stable",
        ttft_s=0.1,
        token_s=0.1,
    )
    metrics.answers.note(one)
    metrics.answers.note(msgspec.structs.replace(one, outcome="cancelled"))
    nobody = msgspec.structs.replace(one, adapter="", revision="", arm="")
    metrics.answers.note(msgspec.structs.replace(nobody, outcome="client_error"))
    metrics.answers.note(msgspec.structs.replace(nobody, outcome="server_error"))


def _fail(metrics: Metrics) -> None:
    metrics.replicas.failed("replica-0", "connect")
    metrics.replicas.circuit_opened("replica-0", "failures")
    metrics.replicas.query_suspected("sql")
    metrics.replicas.query_held("sql")
    metrics.process.connection_shed("idle")
    metrics.process.log_line_dropped()
    metrics.replicas.carried("whole")
    metrics.process.fault("proxy")
    metrics.replicas.watch_states(lambda state: 1)


def _follow(metrics: Metrics) -> None:
    metrics.registry.rollout("done")
    metrics.registry.rollout("failed")
    metrics.registry.placements(["resident"])
    metrics.registry.placement("put")
    metrics.registry.refusal("other")
    metrics.registry.expiries({("sql", "sql@1"): 1.0})
    metrics.canaries.known_as("0123456789abcdef", "router-0")
    metrics.canaries.stands("sql", "sql@2", 5, 0)
    metrics.canaries.evidence("sql", "sql@2", {"errors": 0.1})
    metrics.canaries.alone("default")
    for arm in ("canary", "stable"):
        metrics.canaries.event(1, "sql@2", arm, 0.05, "request")
        metrics.canaries.event(1, "sql@2", arm, 0.05, "errors")
