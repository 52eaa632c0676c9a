"""Queries of death: requests that have ended engines or replicas before, each sent again and again.

That is how clients behave that retry until they get an answer. None of them may end anything.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from loadtests.attack.tries import Try, request

TIMES = 12
KIND = "queries of death"
_CHAT: Mapping[str, Any] = {"messages": [{"role": "user", "content": "hello world"}], "max_tokens": 2}
_TEXT: Mapping[str, Any] = {"prompt": "hello world", "max_tokens": 2}
_RESPONSE: Mapping[str, Any] = {"input": "hello world", "max_output_tokens": 2, "stream": True}
# Of vLLM's reports, and of what the other parts of the attack have found in it.
_DEADLY: Mapping[str, tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]] = {
    "/v1/completions": (
        _TEXT,
        (
            {"echo": True, "logprobs": 1},
            {"prompt": [151_936]},
            {"prompt": [2**31]},
            {"stop_token_ids": [2**31]},
            {"request_id": "same"},
            {"prompt_embeds": "AAAA"},
        ),
    ),
    "/v1/chat/completions": (
        _CHAT,
        (
            {"prompt_logprobs": 1},
            {"logit_bias": {"5": 1e308}},
            {"allowed_token_ids": [2**31]},
            {"kv_transfer_params": {"do_remote_prefill": True}},
            {"structured_outputs": {"regex": "(a{1,1000}){1,1000}"}},
            {"structured_outputs": {"grammar": "root ::= root"}},
            {"seed": 2**63},
            {"priority": -(2**63)},
        ),
    ),
    "/v1/responses": (_RESPONSE, ({"background": None}, {"truncation": None}, {"top_p": 7})),
}


def repeats(models: Sequence[str]) -> Iterator[Try]:
    """Each of them `TIMES` times in a row, for each of `models`."""
    for path, (least, all_) in _DEADLY.items():
        for fields in all_:
            for model in models:
                for _ in range(TIMES):
                    yield request(KIND, path, {"model": model, **least}, fields)
