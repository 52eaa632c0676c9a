"""The asking of a running stack: greedy answers to prompts of tokens, with log-probabilities."""

from collections.abc import Sequence

import httpx

from loadtests.bases.compared import GreedyAnswer
from loadtests.bases.making import WORDLESS

_ANSWER_TOKENS = 24


def prompts(count: int = 3, *, length: int = 12, rows: int = 1536) -> tuple[tuple[int, ...], ...]:
    """Makes prompts of tokens: any that are text, but always the same."""
    return tuple(
        tuple(
            WORDLESS + (31 * one + 7 * place * (one + 3) + place * place) % (rows - WORDLESS - 10)
            for place in range(length)
        )
        for one in range(count)
    )


def ask(url: str, model: str, asked: Sequence[Sequence[int]], *, tokens: int = _ANSWER_TOKENS) -> list[GreedyAnswer]:
    """Asks `model` at the router `url` for its answers, each of so many `tokens`. Raises httpx.HTTPError."""
    with httpx.Client(base_url=url, timeout=120) as client:
        return [_ask(client, model, tuple(prompt), tokens) for prompt in asked]


def _ask(client: httpx.Client, model: str, prompt: tuple[int, ...], tokens: int) -> GreedyAnswer:
    body = {
        "model": model, "prompt": list(prompt), "max_tokens": tokens, "temperature": 0, "logprobs": 1,
        "ignore_eos": True, "return_token_ids": True,
    }  # fmt: skip
    choice = client.post("/v1/completions", json=body).raise_for_status().json()["choices"][0]
    return GreedyAnswer(prompt, tuple(choice["token_ids"]), tuple(choice["logprobs"]["token_logprobs"]))
