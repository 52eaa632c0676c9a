"""The dashboard of all tenants together: queue, limits and admission. No label names a tenant."""

from observability.panels import Dashboard, Panel, Query, Section, Variable, note
from observability.promql import ANSWERS, BAD, CHOSEN, EVERY, per_second, quantile

_REQUESTS = "patchbay_router_requests_total"
_NOTE = """A tenant's name, a key and a caller are never labels of a metric: their number has no bound, and whoever
reads metrics need not know customers. By design there is no metric of: a tenant's requests, tokens, cost or place in
the queue; which limit refused a request; when a key expires. Where they are instead:

- `patchbay usage --by tenant` (`--by hour`, `--csv`): requests, tokens and cost;
- `patchbay keys list`: when keys end; `patchbay tenants list`: tiers and limits;
- `access_log: true`: a line for each request, with its route, status and tokens."""

_QUEUE = (
    Panel(
        "Waiting",
        "Requests that wait for their turn, by router: a router orders its own tenants' requests.",
        (Query("sum by (instance) (patchbay_router_queue_depth)", "{{instance}}"),),
    ),
    Panel(
        "Time that requests waited",
        "Of all requests that got their turn; most wait for nothing.",
        tuple(Query(quantile(q, "patchbay_router_wait_seconds"), f"p{q * 100:g}") for q in (0.5, 0.9, 0.99)),
        "s",
    ),
    Panel(
        "In flight",
        "Requests that are being answered, those that wait among them, by router.",
        (Query("sum by (instance) (patchbay_router_requests_in_flight)", "{{instance}}"),),
    ),
)
_LIMITS = (
    Panel(
        "Refused for what the client did",
        "Requests that got a 4xx, in a second, by endpoint: limits (429), keys (401), what a key does not open (404).",
        (Query(per_second(_REQUESTS, 'outcome="client_error"', "endpoint"), "{{endpoint}}"),),
        "reqps",
    ),
    Panel(
        "Refused before anybody could answer",
        "Of these, requests that reached no route and no adapter: refused by limits or for want of a key, mostly.",
        (Query(per_second(ANSWERS, 'outcome="client_error", adapter=""'), "refused"),),
        "reqps",
    ),
    Panel(
        "Not served",
        "Requests that got a 5xx or broke off, in a second, by route: a full queue (503) is among them.",
        (Query(per_second(ANSWERS, f"{CHOSEN}, {BAD}", "route"), "{{route}}"),),
        "reqps",
    ),
)
_ADMISSION = (
    Panel(
        "Clients that left",
        "Requests whose client went away before the answer's end: what waits too long is left.",
        (Query(per_second(ANSWERS, f'{CHOSEN}, outcome="cancelled"', "route"), "{{route}}"),),
        "reqps",
    ),
    Panel(
        "Gone on to another route",
        "Requests whose route or model failed and that went on to a fallback, by the route that they went on to.",
        (Query(per_second("patchbay_router_fallbacks_total", 'route=~"$route"', "route"), "{{route}}"),),
        "reqps",
    ),
    Panel(
        "Guards",
        "What guards did in a second, by guard and action; which tenant's prompt it was is in the audit log alone.",
        (Query(per_second("patchbay_router_guard_verdicts_total", by="guard, action"), "{{guard}} {{action}}"),),
        "ops",
    ),
    Panel(
        "Tokens used",
        "Tokens of prompts and answers in a minute, of all tenants: what their limits are about.",
        (Query(f'sum by (kind) (rate(patchbay_router_tokens_total{{model=~"$adapter"}}{EVERY})) * 60', "{{kind}}"),),
        width=12,
    ),
    Panel(
        "Bytes",
        "Bytes of bodies read from clients (in) and sent to them (out), in a second.",
        (Query(per_second("patchbay_router_body_bytes_total", by="direction"), "{{direction}}"),),
        "Bps",
        width=12,
    ),
)
TENANTS = Dashboard(
    "tenants",
    "tenants",
    "Queue, limits and admission of all tenants together; who they are is in no label.",
    (
        Variable("route", ANSWERS, "route"),
        Variable("adapter", f'{ANSWERS}{{route=~"$route"}}', "adapter"),
        Variable("revision", f'{ANSWERS}{{adapter=~"$adapter"}}', "revision"),
    ),
    (
        Section("What is not here", (note("No names, by design", _NOTE),)),
        Section("Queue", _QUEUE),
        Section("Limits", _LIMITS),
        Section("Admission and what follows from it", _ADMISSION),
    ),
)
