"""Record of a request that has ended, for metrics, traces and logs. Never its text."""

from typing import Literal

import msgspec

from patchbay.router.http.trace_context import TraceSpan

Outcome = Literal["ok", "client_error", "server_error", "broken", "cancelled"]


class RequestRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Record of one request that has ended.

    All names but `id` and `model` are words of the configuration, of the registry and of replicas, empty where the
    request did not come so far. `model`: the name that the client asked for, empty where it means nothing; `route`:
    empty where that was no route; `adapter`: the adapter, or the base; `replica`: the one that answered, `cache` for a
    cached answer; `status`: HTTP's, 0 where no answer began; `seconds`: from the request's head to the end; `ttft_s`:
    from the request's head to a stream's first byte; `token_s`: per output token after the first, of a stream that
    ended well; `cost`: in trillionths of the prices' currency; `refused`, `schema_failed`: whether a guard found that.
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
