"""Metrics of answers: what is counted, for how many, and for how long."""

from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from patchbay.core.money import TRILLION
from patchbay.router.http.trace_context import TraceSpan
from patchbay.router.telemetry.metrics import Metrics
from patchbay.router.telemetry.request_record import RequestRecord

OPEN_METRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
TRACE = b"4bf92f3577b34da6a3ce929d0e0e4736"
SQL = 'adapter="sql",arm="stable",revision="sql@1",route="main"'


def ended(adapter: str = "sql", revision: str = "sql@1", *, flags: int = 0, **fields: Any) -> RequestRecord:
    given: dict[str, Any] = {"outcome": "ok", "status": 200, "seconds": 2.0, "route": "main", "arm": "stable"} | fields
    span = TraceSpan(trace=TRACE, id=b"0" * 16, flags=flags)
    return RequestRecord(id=b"req-1", span=span, endpoint="completions", adapter=adapter, revision=revision, **given)


def counted(*ended_ones: RequestRecord, series: int = 500) -> Metrics:
    metrics = Metrics(series)
    for one in ended_ones:
        metrics.answers.note(one)
    return metrics


def lines(metrics: Metrics, name: str) -> list[str]:
    rendered = metrics.render().decode().splitlines()
    return [line for line in rendered if line.startswith(f"patchbay_router_{name}")]


def test_an_answer_is_counted_by_who_gave_it() -> None:
    took: dict[str, Any] = {
        "ttft_s": 0.2,
        "token_s": 0.03,
        "prompt_tokens": 9,
        "answer_tokens": 40,
        "cost": TRILLION // 2,
    }
    metrics = counted(ended(refused=True, schema_failed=True, **took))
    rendered = metrics.render().decode().splitlines()
    bucket = 'patchbay_router_ttft_seconds_bucket{adapter="sql",arm="stable",le="%s",revision="sql@1",route="main"} %s'
    for line in (
        'patchbay_router_answers_total{adapter="sql",arm="stable",outcome="ok",revision="sql@1",route="main"} 1.0',
        bucket % ("0.1", "0.0"),
        bucket % ("0.25", "1.0"),
        bucket % ("+Inf", "1.0"),
        f"patchbay_router_token_seconds_sum{{{SQL}}} 0.03",
        f"patchbay_router_answer_seconds_sum{{{SQL}}} 2.0",
        f"patchbay_router_prompt_tokens_per_answer_sum{{{SQL}}} 9.0",
        f"patchbay_router_answer_tokens_per_answer_count{{{SQL}}} 1.0",
        f"patchbay_router_refusals_total{{{SQL}}} 1.0",
        f"patchbay_router_schema_failures_total{{{SQL}}} 1.0",
        f"patchbay_router_cost_total{{{SQL}}} 0.5",
    ):
        assert line in rendered


def test_what_failed_or_had_been_kept_makes_nobody_look_quick() -> None:
    metrics = counted(ended(outcome="server_error", seconds=0.001), ended(cached=True, seconds=0.001))
    assert [line.rpartition(" ")[2] for line in lines(metrics, "answers_total")] == ["1.0", "1.0"]
    assert 'outcome="cached"' in metrics.render().decode()
    assert not lines(metrics, "answer_seconds")


def test_beyond_the_limit_adapters_are_counted_together_and_those_that_are_known_still_apart() -> None:
    metrics = counted(*(ended(f"a{number}", f"a{number}@1") for number in range(5)), ended("a0", "a0@1"), series=2)
    told = {line.partition("{")[2].partition('"')[2].partition('"')[0]: line for line in lines(metrics, "answers")}
    assert sorted(told) == ["a0", "a1", "other"]
    assert told["a0"].endswith(" 2.0")
    assert 'adapter="other",arm="other",outcome="ok",revision="other",route="other"} 3.0' in told["other"]


def test_a_revision_that_nobody_serves_is_told_once_more_and_gone() -> None:
    metrics = counted(ended(), ended(revision="sql@2"), ended("base", ""), ended("", ""))
    metrics.answers.watch_served(lambda: {"sql@2", "base"})
    assert len(lines(metrics, "answers")) == 4
    left = lines(metrics, "answers")
    assert len(left) == 3
    assert not any("sql@1" in line for line in left)


def test_room_is_made_by_what_nobody_serves_without_waiting_for_a_scrape() -> None:
    metrics = counted(ended(), series=1)
    metrics.answers.watch_served(lambda: {"sql@2"})
    metrics.answers.note(ended(revision="sql@2"))
    assert ["sql@2" in line for line in lines(metrics, "answers")] == [True]


def test_exemplars_name_the_trace_that_somebody_keeps_and_only_in_openmetrics() -> None:
    metrics = counted(ended(flags=1, seconds=2.0), ended(flags=0, seconds=20.0))
    body, content_type = metrics.exposition(OPEN_METRICS)
    assert content_type.startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    families = {one.name: one for one in text_string_to_metric_families(body.decode())}  # type: ignore[no-untyped-call]
    exemplars = [one.exemplar for one in families["patchbay_router_answer_seconds"].samples if one.exemplar]
    assert [(one.labels, one.value) for one in exemplars] == [({"trace_id": TRACE.decode()}, 2.0)]
    plain, plain_type = metrics.exposition("text/plain")
    assert plain_type == "text/plain; version=0.0.4; charset=utf-8"
    assert b"trace_id" not in plain
