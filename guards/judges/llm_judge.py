"""LLM judge: a safety adapter on the engine's own base model, asked for one token and its log probabilities.

A text only grows, and the message begins the same each time, so the engine has all but its end in its cache.
Source of the form: H. Inan et al., "Llama Guard: LLM-based Input-Output Safeguard", arXiv 2312.06674.
"""

import math
from collections.abc import Awaitable, Callable

import msgspec

from patchbay.core.json_body import UNREADABLE
from patchbay.guards.judges.config import GroundingGuard, LlmGuard
from patchbay.guards.judges.judge import JudgeFailed, JudgeVerdict, TextOrigin

# Asks a model for a chat completion. Takes the model's name, the request's other fields, and a key that places related
# requests together. Returns the answer's body; raises JudgeFailed where there is none.
AskModel = Callable[[str, dict[str, object], str], Awaitable[bytes]]
# Log probabilities that are asked for: enough for both words and the forms that tokens write them in.
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
    """A `Judge` that asks a safety adapter. `ask`: asks a model on the engine."""

    def __init__(self, config: LlmGuard, ask: AskModel) -> None:
        self._config = config
        self._ask = ask

    async def start(self) -> None:
        """There is nothing to open."""

    async def prompt(self, text: str, facts: TextOrigin) -> JudgeVerdict:
        """Judges the text of a prompt; see `Judge`."""
        return await self._judged(text, facts)

    async def answer(self, text: str, facts: TextOrigin) -> JudgeVerdict:
        """Judges an answer so far; see `Judge`."""
        return await self._judged(text, facts)

    async def close(self) -> None:
        """Nothing was opened."""

    async def _judged(self, text: str, facts: TextOrigin) -> JudgeVerdict:
        config = self._config
        top = await _first_tokens(self._ask, config.model, config.prompt.replace("{text}", text), facts)
        score = unsafe_share(top, config.safe, config.unsafe)
        return JudgeVerdict(score >= config.threshold, "UNSAFE", score)


class EntailmentJudge:
    """A `Judge` that asks a model whether the documents of the request say what the answer says. `ask`: asks it."""

    def __init__(self, config: GroundingGuard, ask: AskModel) -> None:
        self._config = config
        self._ask = ask

    async def start(self) -> None:
        """There is nothing to open."""

    async def prompt(self, text: str, facts: TextOrigin) -> JudgeVerdict:
        """Passes every prompt: only an answer has sources."""
        return JudgeVerdict(False)

    async def answer(self, text: str, facts: TextOrigin) -> JudgeVerdict:
        """Judges an answer so far; see `Judge`. Without documents there is nothing to hold it against."""
        config = self._config
        if not facts.documents:
            return JudgeVerdict(False)
        documents = "\n\n".join(facts.documents)[: config.document_chars]
        # The place of the text is looked for first: documents may hold such words.
        before, _, after = config.prompt.partition("{text}")
        message = f"{before.replace('{documents}', documents)}{text}{after.replace('{documents}', documents)}"
        top = await _first_tokens(self._ask, config.model, message, facts)
        score = unsafe_share(top, config.supported, config.unsupported)
        return JudgeVerdict(score >= config.threshold, "GROUNDING", score)

    async def close(self) -> None:
        """Nothing was opened."""


async def _first_tokens(ask: AskModel, model: str, message: str, facts: TextOrigin) -> list[tuple[str, float]]:
    """Asks `model` for one token, and returns the likeliest ones with their log probabilities."""
    fields: dict[str, object] = {
        "messages": [{"role": "user", "content": message}],
        "max_tokens": 1,
        "temperature": 0,
        "logprobs": True,
        "top_logprobs": _TOP,
    }
    body = await ask(model, fields, facts.request)
    if len(body) > _MOST_BYTES:
        raise JudgeFailed(f"Its verdict is larger than {_MOST_BYTES} bytes.")
    try:
        top = _ANSWER.decode(body).choices[0].logprobs.content[0].top_logprobs
    except (*UNREADABLE, IndexError) as error:
        raise JudgeFailed("It tells no log probabilities.") from error
    return [(entry.token, entry.logprob) for entry in top]


def unsafe_share(top: list[tuple[str, float]], safe: str, unsafe: str) -> float:
    """Returns the probability of the word `unsafe`, out of the two words, by the answer's first token. Pure.

    `top`: the likeliest first tokens with their log probabilities. A token counts for a word that it begins, if it does
    not begin the other one too. Raises JudgeFailed where no token counts.
    """
    mass = dict.fromkeys((safe, unsafe), 0.0)
    for token, logprob in top:
        words = [word for word in mass if (start := token.strip().lower()) and word.lower().startswith(start)]
        if len(words) == 1:
            mass[words[0]] += math.exp(logprob)
    total = sum(mass.values())
    if not total:
        raise JudgeFailed(f"Its answer begins neither with '{safe}' nor with '{unsafe}'.")
    return mass[unsafe] / total
