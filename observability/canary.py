"""The dashboard of canaries: their state, their evidence, and both arms side by side."""

from observability.panels import Dashboard, Panel, Query, Section, Variable, note, stat
from observability.promql import ANSWERS, EVERY, failing, per_second, quantile, share

_EVENTS = "patchbay_router_canary_events_total"
_CANARY = 'adapter=~"$adapter", revision=~"$revision"'
_REVISION = 'revision=~"$revision"'
_BOTH_ARMS = 'adapter=~"$adapter", arm=~"canary|stable"'
# The metric of events also counts requests themselves, copies of requests (copied…), pairs of answers (win_…) and
# events that only the canary is judged by (own_…). None of these is a bad event that both arms are compared by.
_JUDGED = 'event!~"request|copied.*|win_.*|own_.*"'

_STATE_PANELS = (
    stat(
        "Share of callers",
        "Weight of each canary, in percent of callers.",
        Query(f"max by (revision) (patchbay_router_canary_weight{{{_CANARY}}})", "{{revision}}"),
        "percent",
    ),
    stat(
        "Verdict",
        "What became of each canary: promoted, undecided, or rolled back or failed.",
        Query(f"min by (revision) (patchbay_router_canary_verdict{{{_CANARY}}})", "{{revision}}"),
        names=(("-1", "rolled back"), ("0", "undecided"), ("1", "promoted")),
    ),
    stat(
        "Most evidence",
        "Evidence that the canary is worse, of its worst metric, as a share of what would roll it back.",
        Query(f"max by (revision) (patchbay_router_canary_evidence{{{_CANARY}}})", "{{revision}}"),
        "percentunit",
        thresholds=((0.5, "orange"), (1, "red")),
    ),
    stat(
        "Data to judge by",
        "Whether the router that judges has no data, though it should: then nothing grows and nothing is rolled back.",
        Query("max (patchbay_router_canary_blind)", "blind"),
        names=(("0", "there"), ("1", "blind")),
        thresholds=((1, "red"),),
    ),
    stat(
        "Canary's requests",
        "Requests of the canary's arm in the chosen time.",
        Query(f'sum (increase({_EVENTS}{{{_REVISION}, arm="canary", event="request"}}[$__range]))', "requests"),
    ),
    stat(
        "Copies",
        "Requests copied to a shadow that were kept, in a second: what is judged before callers see anything.",
        Query('sum (rate(patchbay_router_shadows_total{outcome="kept"}[$__rate_interval]))', "kept"),
        "reqps",
    ),
)
_EVIDENCE = (
    Panel(
        "Evidence by metric",
        "Evidence that the canary is worse, as a share of what rolls it back (logarithms): at 1 it goes.",
        (
            Query(
                f"max by (revision, metric) (patchbay_router_canary_evidence{{{_CANARY}}})", "{{revision}} {{metric}}"
            ),
        ),
        width=12,
        thresholds=((1, "red"),),
    ),
    Panel(
        "Weight",
        "Percent of callers that are in the canary's arm, step by step.",
        (Query(f"max by (revision) (patchbay_router_canary_weight{{{_CANARY}}})", "{{revision}}"),),
        "percent",
        width=12,
        most=100,
    ),
    Panel(
        "Verdict over time",
        "1 promoted, 0 undecided, -1 rolled back or failed.",
        (Query(f"min by (revision) (patchbay_router_canary_verdict{{{_CANARY}}})", "{{revision}}"),),
    ),
    Panel(
        "Blind",
        "1 while the router that judges has no data to judge by.",
        (Query("max by (instance) (patchbay_router_canary_blind)", "{{instance}}"),),
        most=1,
    ),
    Panel(
        "Judged requests",
        "Requests in a second by arm, as they are counted for the judgement: what the weight comes to.",
        (Query(per_second(_EVENTS, f'{_REVISION}, event="request"', "revision, arm"), "{{revision}}: {{arm}}"),),
        "reqps",
    ),
)


def _bad(arm: str) -> Query:
    """Makes the query for bad events as a share of an arm's requests, by event."""
    chosen = f'{_REVISION}, arm="{arm}"'
    bad = per_second(_EVENTS, f"{chosen}, {_JUDGED}", "revision, event")
    requests = per_second(_EVENTS, f'{chosen}, event="request"', "revision")
    return Query(f"{bad} / on (revision) group_left () {requests}", "{{revision}}: {{event}}")


_ARMS = (
    Panel(
        "Errors by arm",
        "Share of requests without a whole answer, of those for which the client is not to blame, by who answered.",
        (Query(failing(_BOTH_ARMS, "adapter, arm"), "{{adapter}}: {{arm}}"),),
        "percentunit",
    ),
    Panel(
        "First byte by arm, 95th percentile",
        "Of streams, by who answered.",
        (Query(quantile(0.95, "patchbay_router_ttft_seconds", _BOTH_ARMS, "adapter, arm"), "{{adapter}}: {{arm}}"),),
        "s",
    ),
    Panel(
        "Time per token by arm, 95th percentile",
        "Of streams that ended well, by who answered.",
        (Query(quantile(0.95, "patchbay_router_token_seconds", _BOTH_ARMS, "adapter, arm"), "{{adapter}}: {{arm}}"),),
        "s",
    ),
    Panel(
        "Tokens of an answer by arm, 95th percentile",
        "How long answers are, which is what they cost.",
        (
            Query(
                quantile(0.95, "patchbay_router_answer_tokens_per_answer", _BOTH_ARMS, "adapter, arm"),
                "{{adapter}}: {{arm}}",
            ),
        ),
    ),
    Panel(
        "Refusals and schema failures by arm",
        "Share of answers in which a guard of that kind found something, by who answered.",
        (
            Query(
                share(
                    per_second("patchbay_router_refusals_total", _BOTH_ARMS, "adapter, arm"),
                    per_second(ANSWERS, _BOTH_ARMS, "adapter, arm"),
                ),
                "{{adapter}}: {{arm}}, refusals",
            ),
            Query(
                share(
                    per_second("patchbay_router_schema_failures_total", _BOTH_ARMS, "adapter, arm"),
                    per_second(ANSWERS, _BOTH_ARMS, "adapter, arm"),
                ),
                "{{adapter}}: {{arm}}, schema",
            ),
        ),
        "percentunit",
    ),
    Panel(
        "Votes by arm",
        "Votes on answers in an hour, by who answered.",
        (
            Query(
                "sum by (model, arm, vote) (rate(patchbay_router_feedback_total"
                f'{{model=~"$adapter", arm=~"canary|stable"}}{EVERY})) * 3600',
                "{{model}}: {{arm}}, {{vote}}",
            ),
        ),
    ),
)
_COUNTED_EVENTS = (
    Panel(
        "Bad events: canary",
        "What was bad of the canary's requests, as a share of them, by metric of the plan.",
        (_bad("canary"),),
        "percentunit",
        width=12,
    ),
    Panel(
        "Bad events: stable",
        "What was bad of the requests that it is compared with, as a share of them, by metric of the plan.",
        (_bad("stable"),),
        "percentunit",
        width=12,
    ),
)
_NOTE = """Slices (by tenant, language, header) are judged by counts in the registry and are no metrics: a tenant's name
is never a label. `patchbay canary status` and `patchbay canary report ID` have them, as well as each verdict's reason.
What was counted of a canary (*bad events*) is dropped from the metrics when it ends; the report keeps it."""
CANARY = Dashboard(
    "canary",
    "canaries",
    "Canaries: weight, evidence, verdict, and both arms side by side.",
    (
        Variable("adapter", "patchbay_router_canary_weight", "adapter"),
        Variable("revision", 'patchbay_router_canary_weight{adapter=~"$adapter"}', "revision"),
    ),
    (
        Section("How canaries stand", _STATE_PANELS),
        Section("Evidence", _EVIDENCE),
        Section("Arms side by side: what was answered", _ARMS),
        Section("Arms side by side: what is judged", _COUNTED_EVENTS),
        Section("What is not here", (note("By design", _NOTE),)),
    ),
)
