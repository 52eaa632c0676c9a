"""The dashboard of adapters: their placement, the costs of swapping them, and the quality of their answers."""

from observability.panels import Dashboard, Panel, Query, Section, Variable, stat
from observability.promql import ANSWERS, EVERY, failing, per_second, quantile, share
from observability.promql import CHOSEN as ANY

# Only adapters: answers of the base model have no revision.
CHOSEN = f'{ANY}, revision!=""'
_ANSWERED = f'{CHOSEN}, outcome=~"ok|cached"'
_VOTES = 'model=~"$adapter", revision=~"$revision"'
_LOADS = "patchbay_server_adapter_load_seconds"
_STAGING = "patchbay_server_adapter_staging_seconds"

_RESIDENCY = (
    Panel(
        "Revisions by memory",
        "Revisions on replicas by the nearest memory that holds them: a slot of the engine, host memory, or disk.",
        (Query("sum by (instance, tier) (patchbay_server_adapters)", "{{instance}} {{tier}}"),),
    ),
    Panel(
        "Placements",
        "How revisions stand on replicas, as the router that reconciles sees it: failed is to be looked at.",
        (Query("max by (state) (patchbay_router_placements)", "{{state}}"),),
    ),
    Panel(
        "What replicas were asked for",
        "Revisions that replicas were asked to take (put), would not take (refused) or gave up (removed).",
        (Query(per_second("patchbay_router_placement_calls_total", by="outcome"), "{{outcome}}"),),
        "ops",
    ),
)
_SWAPS = (
    Panel(
        "Swaps",
        "Loads into the engine, evictions, and reloads of what was evicted less than a minute before: too few places.",
        (
            Query(per_second(f"{_LOADS}_count"), "loads"),
            Query(per_second("patchbay_server_adapter_evictions_total"), "evictions"),
            Query(per_second("patchbay_server_adapter_reloads_total"), "reloads"),
            Query(per_second("patchbay_server_adapter_removals_total"), "removals"),
        ),
        "ops",
    ),
    Panel(
        "Reloads by replica",
        "Loads of what was evicted less than a minute before, by replica.",
        (Query(per_second("patchbay_server_adapter_reloads_total", by="instance"), "{{instance}}"),),
        "ops",
    ),
    Panel(
        "Time to load and to stage",
        "Load: from staged files into the engine. Stage: to fetch a revision's files and to check them.",
        (
            Query(quantile(0.5, _LOADS), "load, p50"),
            Query(quantile(0.95, _LOADS), "load, p95"),
            Query(quantile(0.95, _STAGING), "stage, p95"),
        ),
        "s",
    ),
    Panel(
        "Refused by replicas and by the gate",
        "Revisions that replicas refused and pushes that were refused, by reason, and loads that the engine refused.",
        (
            Query(per_second("patchbay_server_adapter_refusals_total", by="reason"), "replica: {{reason}}"),
            Query(per_second("patchbay_router_push_refusals_total", by="reason"), "push: {{reason}}"),
            Query(per_second("patchbay_server_adapter_load_failures_total"), "engine"),
        ),
        "ops",
        width=12,
    ),
    Panel(
        "Expiry",
        "Days until a revision that a channel means is not promoted any more; those without an end are not shown.",
        (
            Query(
                'min by (adapter, revision) (patchbay_router_adapter_expiry_seconds{adapter=~"$adapter"} - time())'
                " / 86400",
                "{{revision}}",
            ),
        ),
        "d",
        width=12,
    ),
)


def _share_of_answers(metric: str) -> str:
    return share(per_second(metric, CHOSEN, "revision"), per_second(ANSWERS, _ANSWERED, "revision"))


_QUALITY = (
    Panel(
        "Requests",
        "Requests that end in a second, by revision.",
        (Query(per_second(ANSWERS, CHOSEN, "revision"), "{{revision}}"),),
        "reqps",
    ),
    Panel(
        "Errors",
        "Share of a revision's requests without a whole answer, of those for which the client is not to blame.",
        (Query(failing(CHOSEN, "revision"), "{{revision}}"),),
        "percentunit",
    ),
    Panel(
        "First byte, 95th percentile",
        "Of streams, by revision.",
        (Query(quantile(0.95, "patchbay_router_ttft_seconds", CHOSEN, "revision"), "{{revision}}"),),
        "s",
    ),
    Panel(
        "Refusals",
        "Share of a revision's answers in which a guard found a refusal; none without a guard of that kind.",
        (Query(_share_of_answers("patchbay_router_refusals_total"), "{{revision}}"),),
        "percentunit",
    ),
    Panel(
        "Schema failures",
        "Share of a revision's answers in which a guard found something other than its schema asks for.",
        (Query(_share_of_answers("patchbay_router_schema_failures_total"), "{{revision}}"),),
        "percentunit",
    ),
    Panel(
        "Votes down",
        "Share of the votes on a revision's answers that are down; few answers get a vote.",
        (
            Query(
                share(
                    per_second("patchbay_router_feedback_total", f'{_VOTES}, vote="down"', "revision"),
                    per_second("patchbay_router_feedback_total", _VOTES, "revision"),
                ),
                "{{revision}}",
            ),
        ),
        "percentunit",
    ),
    Panel(
        "Time per token, median",
        "Of streams that ended well, by revision.",
        (Query(quantile(0.5, "patchbay_router_token_seconds", CHOSEN, "revision"), "{{revision}}"),),
        "s",
    ),
    Panel(
        "Tokens",
        "Tokens of answers in a second, by adapter.",
        (Query(per_second("patchbay_router_tokens_total", 'model=~"$adapter", kind="answer"', "model"), "{{model}}"),),
    ),
    Panel(
        "Cost",
        "What a revision's answers cost in an hour, in the unit of the configuration's prices.",
        (Query(f"sum by (revision) (rate(patchbay_router_cost_total{{{CHOSEN}}}{EVERY})) * 3600", "{{revision}}"),),
    ),
)
_CHANGES = (
    stat(
        "Rollouts failed",
        "Promotions that failed in the chosen time.",
        Query('sum (increase(patchbay_router_rollouts_total{outcome="failed"}[$__range]))', "failed"),
        thresholds=((1, "red"),),
    ),
    stat(
        "Rollouts done",
        "Promotions that became live in the chosen time.",
        Query('sum (increase(patchbay_router_rollouts_total{outcome="done"}[$__range]))', "done"),
    ),
    stat(
        "Registry",
        "Whether every router reaches the registry.",
        Query("min (patchbay_router_registry_up)", "up"),
        names=(("0", "away"), ("1", "up")),
    ),
    stat(
        "Reconciling",
        "How many routers reconcile replicas: exactly one should.",
        Query("sum (patchbay_router_reconciling)", "routers"),
        thresholds=((2, "red"),),
    ),
)
ADAPTERS = Dashboard(
    "adapters",
    "adapters",
    "Where adapters are, how often they are swapped, and what each revision's answers are like.",
    (
        Variable("route", ANSWERS, "route"),
        Variable("adapter", f'{ANSWERS}{{route=~"$route"}}', "adapter"),
        Variable("revision", f'{ANSWERS}{{adapter=~"$adapter"}}', "revision"),
    ),
    (
        Section("Changes", _CHANGES),
        Section("Residency", _RESIDENCY),
        Section("Swaps", _SWAPS),
        Section("What each revision's answers are like", _QUALITY),
    ),
)
