"""The dashboard of replicas: vLLM's own metrics of its engine, and those of the server around it."""

from observability.panels import Dashboard, Panel, Query, Section, Variable, stat
from observability.promql import EVERY, per_second, quantile

_REPLICA = 'instance=~"$replica"'
_BATCH = (
    Panel(
        "Running and waiting",
        "Requests in the engine's batch, and those that wait in the engine; the router sends it no more than it runs.",
        (
            Query(f"sum by (instance) (vllm:num_requests_running{{{_REPLICA}}})", "{{instance}} running"),
            Query(f"sum by (instance) (vllm:num_requests_waiting{{{_REPLICA}}})", "{{instance}} waiting"),
        ),
    ),
    Panel(
        "KV cache",
        "Share of the KV cache that is in use: near 1 requests are put back, and computed again.",
        (Query(f"max by (instance) (vllm:kv_cache_usage_perc{{{_REPLICA}}})", "{{instance}}"),),
        "percentunit",
        most=1,
    ),
    Panel(
        "Preemptions",
        "Requests put back for want of KV cache, in a second.",
        (Query(per_second("vllm:num_preemptions_total", _REPLICA, "instance"), "{{instance}}"),),
        "ops",
    ),
)
_THROUGHPUT = (
    Panel(
        "Tokens",
        "Tokens of prompts and of answers that the engine computed in a second.",
        (
            Query(per_second("vllm:prompt_tokens_total", _REPLICA), "prompt"),
            Query(per_second("vllm:generation_tokens_total", _REPLICA), "answer"),
        ),
    ),
    Panel(
        "Prefix cache",
        "Share of prompts' tokens whose keys and values were in the cache already.",
        (
            Query(
                f"{per_second('vllm:prefix_cache_hits_total', _REPLICA, 'instance')}"
                f" / {per_second('vllm:prefix_cache_queries_total', _REPLICA, 'instance')}",
                "{{instance}}",
            ),
        ),
        "percentunit",
        most=1,
    ),
    Panel(
        "Requests by how they ended",
        "Requests that the engine has finished, by why.",
        (Query(per_second("vllm:request_success_total", _REPLICA, "finished_reason"), "{{finished_reason}}"),),
        "reqps",
    ),
)
_SPEED = (
    Panel(
        "First token",
        "vLLM's own: from a request's arrival at the engine to its first token.",
        tuple(
            Query(quantile(q, "vllm:time_to_first_token_seconds", _REPLICA), f"p{q * 100:g}") for q in (0.5, 0.95, 0.99)
        ),
        "s",
    ),
    Panel(
        "Between tokens",
        "vLLM's own: time between one token and the next.",
        tuple(
            Query(quantile(q, "vllm:inter_token_latency_seconds", _REPLICA), f"p{q * 100:g}") for q in (0.5, 0.95, 0.99)
        ),
        "s",
    ),
    Panel(
        "Where the time goes",
        "95th percentiles: in the engine's queue, on the prompt, on the answer.",
        (
            Query(quantile(0.95, "vllm:request_queue_time_seconds", _REPLICA), "queue"),
            Query(quantile(0.95, "vllm:request_prefill_time_seconds", _REPLICA), "prompt"),
            Query(quantile(0.95, "vllm:request_decode_time_seconds", _REPLICA), "answer"),
        ),
        "s",
    ),
    Panel(
        "Tokens in a step",
        "How many tokens a step of the engine computes: the batch, and what of prompts goes with it.",
        (Query(quantile(0.5, "vllm:iteration_tokens_total", _REPLICA, "instance"), "{{instance}}"),),
        width=12,
    ),
    Panel(
        "Prompts and answers",
        "95th percentiles of tokens in a request's prompt and in its answer.",
        (
            Query(quantile(0.95, "vllm:request_prompt_tokens", _REPLICA), "prompt"),
            Query(quantile(0.95, "vllm:request_generation_tokens", _REPLICA), "answer"),
        ),
        width=12,
    ),
)
_SERVER = (
    Panel(
        "Requests",
        "Requests to the replica's server, by outcome.",
        (Query(per_second("patchbay_server_requests_total", _REPLICA, "outcome"), "{{outcome}}"),),
        "reqps",
    ),
    Panel(
        "In flight",
        "Requests that the replica is answering.",
        (Query(f"sum by (instance) (patchbay_server_in_flight{{{_REPLICA}}})", "{{instance}}"),),
    ),
    Panel(
        "Revisions by memory",
        "Revisions by the nearest memory that holds them: a slot of the engine, host memory, or disk.",
        (Query(f"sum by (instance, tier) (patchbay_server_adapters{{{_REPLICA}}})", "{{instance}} {{tier}}"),),
    ),
    Panel(
        "Swaps",
        "Loads, evictions, and reloads of what was evicted less than a minute before, in a second.",
        (
            Query(per_second("patchbay_server_adapter_load_seconds_count", _REPLICA), "loads"),
            Query(per_second("patchbay_server_adapter_evictions_total", _REPLICA), "evictions"),
            Query(per_second("patchbay_server_adapter_reloads_total", _REPLICA), "reloads"),
        ),
        "ops",
        width=12,
    ),
    Panel(
        "Time to load a revision",
        "From staged files into the engine, median and 95th percentile.",
        (
            Query(quantile(0.5, "patchbay_server_adapter_load_seconds", _REPLICA), "p50"),
            Query(quantile(0.95, "patchbay_server_adapter_load_seconds", _REPLICA), "p95"),
        ),
        "s",
        width=12,
    ),
)
_NUMBERS = (
    stat(
        "Replicas", "Replicas that are scraped.", Query(f"count (patchbay_server_in_flight{{{_REPLICA}}})", "replicas")
    ),
    stat(
        "Running",
        "Requests in the engines' batches.",
        Query(f"sum (vllm:num_requests_running{{{_REPLICA}}})", "running"),
    ),
    stat(
        "Tokens in a second",
        "Tokens of answers that all engines compute in a second.",
        Query(f"sum (rate(vllm:generation_tokens_total{{{_REPLICA}}}{EVERY}))", "tokens"),
    ),
    stat(
        "Fullest KV cache",
        "Share of the KV cache in use, of the replica where it is most.",
        Query(f"max (vllm:kv_cache_usage_perc{{{_REPLICA}}})", "used"),
        "percentunit",
        thresholds=((0.9, "orange"), (0.97, "red")),
    ),
    stat(
        "Reloads in an hour",
        "Loads in the last hour of what was evicted less than a minute before.",
        Query(f"sum (increase(patchbay_server_adapter_reloads_total{{{_REPLICA}}}[1h]))", "reloads"),
        thresholds=((180, "orange"),),
    ),
    stat(
        "Loads refused in an hour",
        "Loads in the last hour that the engine refused.",
        Query(f"sum (increase(patchbay_server_adapter_load_failures_total{{{_REPLICA}}}[1h]))", "refused"),
        thresholds=((1, "red"),),
    ),
)
ENGINE = Dashboard(
    "engine",
    "engines",
    "vLLM's batch, cache and speed on each replica, and the server around it.",
    (Variable("replica", "patchbay_server_in_flight", "instance"),),
    (
        Section("Now", _NUMBERS),
        Section("Batch and cache", _BATCH),
        Section("Throughput", _THROUGHPUT),
        Section("Speed", _SPEED),
        Section("The server around it", _SERVER),
    ),
)
