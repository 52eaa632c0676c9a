"""The dashboard of the whole: availability, speed, queue, tokens, cost and faults."""

from observability.panels import Dashboard, Panel, Query, Section, Variable, stat
from observability.promql import ANSWERS, CHOSEN, EVERY, failing, per_second, quantile

_TTFT, _TOKEN = "patchbay_router_ttft_seconds", "patchbay_router_token_seconds"


_NUMBERS = (
    stat(
        "Availability",
        "Share of requests to models that were answered, of those for which the client is not to blame.",
        Query(f"1 - ({failing(CHOSEN)})", "answered"),
        "percentunit",
        thresholds=(),
    ),
    stat("Requests", "Requests to models that end in a second.", Query(per_second(ANSWERS, CHOSEN), "all"), "reqps"),
    stat(
        "First byte, 95th percentile",
        "Of streams: from the request's head to the answer's first byte.",
        Query(quantile(0.95, _TTFT, CHOSEN), "p95"),
        "s",
    ),
    stat(
        "Waiting",
        "Requests that wait for their turn, on all routers.",
        Query("sum (patchbay_router_queue_depth)", "waiting"),
        thresholds=((10, "orange"),),
    ),
    stat(
        "Replicas ready",
        "Replicas that can answer, as the router that sees fewest of them sees it.",
        Query('min (patchbay_router_replicas{state="ready"})', "ready"),
    ),
    stat(
        "Cost in an hour",
        "What the last hour's answers cost, in the unit of the configuration's prices.",
        Query(f"sum (increase(patchbay_router_cost_total{{{CHOSEN}}}[1h]))", "cost"),
    ),
)
_LEVELS = (
    Panel(
        "Failing requests",
        "Share of requests that got no whole answer, by route; empty is an adapter or a base named by itself.",
        (Query(failing(CHOSEN, "route"), "{{route}}"),),
        "percentunit",
    ),
    Panel(
        "Requests by outcome",
        "How requests to models end: client_error and cancelled are the clients' own.",
        (Query(per_second(ANSWERS, CHOSEN, "outcome"), "{{outcome}}"),),
        "reqps",
    ),
    Panel(
        "Error budget burnt",
        "How many times as fast as the objective allows the budget is used (rules.yaml): 1 uses it up in 30 days.",
        (
            Query("job:patchbay_answers_bad:ratio_rate1h / scalar(patchbay:availability:budget)", "availability"),
            Query("job:patchbay_ttft_slow:ratio_rate1h / scalar(patchbay:ttft:budget)", "first byte"),
        ),
        thresholds=((6, "orange"), (14.4, "red")),
    ),
)
_SPEED = (
    Panel(
        "First byte",
        "Of streams: from the request's head to the answer's first byte.",
        tuple(Query(quantile(q, _TTFT, CHOSEN), f"p{q * 100:g}") for q in (0.5, 0.95, 0.99)),
        "s",
    ),
    Panel(
        "Time per token",
        "Of streams that ended well: time for each token after the first.",
        tuple(Query(quantile(q, _TOKEN, CHOSEN), f"p{q * 100:g}") for q in (0.5, 0.95, 0.99)),
        "s",
    ),
    Panel(
        "Whole answers",
        "Of what ended well: from the request's head to the answer's end.",
        tuple(Query(quantile(q, "patchbay_router_answer_seconds", CHOSEN), f"p{q * 100:g}") for q in (0.5, 0.95, 0.99)),
        "s",
    ),
)
_QUEUE = (
    Panel(
        "Waiting and in flight",
        "Requests that wait for their turn, and all that are being answered, those that wait among them.",
        (
            Query("sum (patchbay_router_queue_depth)", "waiting"),
            Query("sum (patchbay_router_requests_in_flight)", "in flight"),
        ),
    ),
    Panel(
        "Time that requests waited",
        "Of all requests that got their turn; most wait for nothing.",
        tuple(Query(quantile(q, "patchbay_router_wait_seconds"), f"p{q * 100:g}") for q in (0.5, 0.95, 0.99)),
        "s",
    ),
    Panel(
        "Cache",
        "Requests of routes with a cache: found there (hit), not (miss), found while no replica is there (offline).",
        (Query(per_second("patchbay_router_cache_total", by="outcome"), "{{outcome}}"),),
        "reqps",
    ),
)
_TOKENS = (
    Panel(
        "Tokens",
        "Tokens of prompts and answers in a second.",
        (Query(per_second("patchbay_router_tokens_total", 'model=~"$adapter"', "kind"), "{{kind}}"),),
    ),
    Panel(
        "Tokens of an answer",
        "How long answers that ended well are.",
        tuple(
            Query(quantile(q, "patchbay_router_answer_tokens_per_answer", CHOSEN), f"p{q * 100:g}") for q in (0.5, 0.95)
        ),
    ),
    Panel(
        "Cost by route",
        "What answers cost in an hour, in the unit of the configuration's prices.",
        (Query(f"sum by (route) (rate(patchbay_router_cost_total{{{CHOSEN}}}{EVERY})) * 3600", "{{route}}"),),
    ),
)
_LOOP = (
    Panel(
        "Event loop",
        "How late routers come to what is due: everything on their event loops waits for so long.",
        (
            Query(quantile(0.99, "patchbay_router_event_loop_lag_seconds"), "p99"),
            Query("max (patchbay_router_event_loop_longest_turn_seconds)", "longest in a minute"),
        ),
        "s",
        thresholds=((0.1, "red"),),
    ),
    Panel(
        "Times that it was held",
        "Times a minute that work on the event loop of a router (or a replica's front end) held it for over 100 ms.",
        (
            Query(f"60 * sum (rate(patchbay_router_event_loop_held_total{EVERY}))", "routers"),
            Query(f"60 * sum (rate(patchbay_server_event_loop_held_total{EVERY}))", "replicas"),
        ),
    ),
    Panel(
        "Pauses for garbage",
        "Of routers: how long Python's garbage collector stops everything, and how often it looks at all objects.",
        (
            Query(quantile(0.99, "patchbay_router_gc_pause_seconds"), "p99"),
            Query(f'60 * sum (rate(patchbay_router_gc_pause_seconds_count{{generation="2"}}{EVERY}))', "full a minute"),
        ),
    ),
)
_FAULTS = (
    Panel(
        "Replicas",
        "Replicas by state, as the router that sees most of each sees it.",
        (Query("max by (state) (patchbay_router_replicas)", "{{state}}"),),
    ),
    Panel(
        "Attempts that failed",
        "Attempts at replicas that failed, by kind: most are made good by another replica.",
        (Query(per_second("patchbay_router_upstream_failures_total", by="replica, kind"), "{{replica}} {{kind}}"),),
        "ops",
    ),
    Panel(
        "What was done about them",
        "Streams carried on or broken, hedges, circuits opened, tries that the budget refused, kinds of requests that"
        " replicas died of, and unexpected faults.",
        (
            Query(per_second("patchbay_router_streams_carried_total", by="outcome"), "streams {{outcome}}"),
            Query(per_second("patchbay_router_hedges_total"), "hedges"),
            Query(per_second("patchbay_router_circuits_opened_total"), "circuits opened"),
            Query(per_second("patchbay_router_retries_refused_total"), "tries refused"),
            Query(per_second("patchbay_router_queries_suspected_total"), "kinds of requests suspected"),
            Query(per_second("patchbay_router_queries_held_total"), "requests held off"),
            Query(per_second("patchbay_router_faults_total"), "faults"),
            Query(per_second("patchbay_router_log_lines_dropped_total"), "log lines dropped"),
            Query(per_second("patchbay_router_connections_shed_total", by="how"), "connections shed: {{how}}"),
        ),
        "ops",
    ),
    Panel(
        "Usage that waits",
        "Files of usage that routers could not write when they ended; a running router counts them within a minute.",
        (Query("max by (instance) (patchbay_router_usage_spooled)", "{{instance}}"),),
    ),
)
OVERVIEW = Dashboard(
    "overview",
    "overview",
    "Availability, speed, queue, tokens, cost and faults of all routers.",
    (
        Variable("route", ANSWERS, "route"),
        Variable("adapter", f'{ANSWERS}{{route=~"$route"}}', "adapter"),
        Variable("revision", f'{ANSWERS}{{adapter=~"$adapter"}}', "revision"),
    ),
    (
        Section("Now", _NUMBERS),
        Section("Service levels", _LEVELS),
        Section("Speed", _SPEED),
        Section("Queue", _QUEUE),
        Section("Tokens and cost", _TOKENS),
        Section("Event loop", _LOOP),
        Section("Faults", _FAULTS),
    ),
)
