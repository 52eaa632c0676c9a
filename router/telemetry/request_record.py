"""How a request ended: what metrics, traces and logs tell of it. Never its text."""

from typing import Literal

import msgspec

from patchbay.router.http.trace_context import TraceSpan

Outcome = Literal["ok", "client_error", "server_error", "broken", "cancelled"]


class RequestRecord(msgspec.Struct, frozen=True):
    """One request that has ended. All but `id` and `model` are words of the configuration, of the registry and of
    replicas, empty where it did not come so far.

    `model`: what the client asked for, where there is such a thing; `route`: empty where that was no route; `adapter`:
    the adapter, or the base; `replica`: who answered, `cache` where the answer had been kept; `status`: HTTP's, 0 where
    no answer began; `ttft_s`: from the request's head to a stream's first byte; `token_s`: per output token after the
    first, of a stream that ended well; `cost`: in trillionths of the prices' currency; `refused`, `schema_failed`: what
    a guard that looks for that has found.
    """

    id: bytes
    span: TraceSpan
    endpoint: str
    outcome: Outcome
    status: int
    seconds: float
    model: str = ""
    route: str = ""
    adapter: str = ""
    revision: str = ""
    arm: str = ""
    replica: str = ""
    cached: bool = False
    ttft_s: float | None = None
    token_s: float | None = None
    prompt_tokens: int = 0
    answer_tokens: int = 0
    cost: int = 0
    refused: bool = False
    schema_failed: bool = False
