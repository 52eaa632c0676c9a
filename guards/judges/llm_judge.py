"""A safety adapter on the engine's own base as a judge: one token, by its log probabilities.

A text only grows, and what is asked of it begins the same each time, so the engine has all but its end in its cache.
Source of the form: H. Inan et al., "Llama Guard: LLM-based Input-Output Safeguard", arXiv 2312.06674.
"""

import math
from collections.abc import Awaitable, Callable

import msgspec

from patchbay.core.json_body import UNREADABLE
from patchbay.guards.judges.config import LlmGuard
from patchbay.guards.judges.judge import JudgeFailed, JudgeVerdict, TextOrigin

# Asks a model for a chat completion: its name, the request's other fields, and a request that this one is near to.
# Gives the answer's body, and raises JudgeFailed where there is none.
AskModel = Callable[[str, dict[str, object], str], Awaitable[bytes]]
_TOP = 10
_MOST_BYTES = 1024 * 1024


class _Token(msgspec.Struct, frozen=True):
    token: str
    logprob: float


class _Place(msgspec.Struct, frozen=True):
    top_logprobs: list[_Token]


class _Logprobs(msgspec.Struct, frozen=True):
    content: list[_Place]


class _Choice(msgspec.Struct, frozen=True):
    logprobs: _Logprobs


class _Answer(msgspec.Struct, frozen=True):
    choices: list[_Choice]


_ANSWER = msgspec.json.Decoder(_Answer)


class LlmJudge:
    """A `Judge`. `ask`: how its model is asked."""

    def __init__(self, config: LlmGuard, ask: AskModel) -> None:
        self._config = config
        self._ask = ask

    async def start(self) -> None:
        """As `Judge` says: there is nothing to open."""

    async def prompt(self, text: str, facts: TextOrigin) -> JudgeVerdict:
        """As `Judge` says."""
        return await self._judged(text, facts)

    async def answer(self, text: str, facts: TextOrigin) -> JudgeVerdict:
        """As `Judge` says."""
        return await self._judged(text, facts)

    async def close(self) -> None:
        """As `Judge` says: nothing was opened."""

    async def _judged(self, text: str, facts: TextOrigin) -> JudgeVerdict:
        config = self._config
        fields: dict[str, object] = {
            "messages": [{"role": "user", "content": config.prompt.replace("{text}", text)}],
            "max_tokens": 1,
            "temperature": 0,
            "logprobs": True,
            "top_logprobs": _TOP,
        }
        body = await self._ask(config.model, fields, facts.request)
        if len(body) > _MOST_BYTES:
            raise JudgeFailed(f"Its verdict is larger than {_MOST_BYTES} bytes.")
        try:
            top = _ANSWER.decode(body).choices[0].logprobs.content[0].top_logprobs
        except (*UNREADABLE, IndexError) as error:
            raise JudgeFailed("It tells no log probabilities.") from error
        score = unsafe_share([(one.token, one.logprob) for one in top], config.safe, config.unsafe)
        return JudgeVerdict(score >= config.threshold, "UNSAFE", score)


def unsafe_share(top: list[tuple[str, float]], safe: str, unsafe: str) -> float:
    """The probability that an answer says `unsafe`, of those that say either, by its first token's log probabilities.
    A token counts for the word that it begins, and not the other. Pure. Raises JudgeFailed where none does."""
    mass = dict.fromkeys((safe, unsafe), 0.0)
    for token, logprob in top:
        begun = [word for word in mass if (said := token.strip().lower()) and word.lower().startswith(said)]
        if len(begun) == 1:
            mass[begun[0]] += math.exp(logprob)
    whole = sum(mass.values())
    if not whole:
        raise JudgeFailed(f"Its answer begins neither with '{safe}' nor with '{unsafe}'.")
    return mass[unsafe] / whole
