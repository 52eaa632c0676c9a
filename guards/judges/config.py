"""Configuration of guards that ask a judge: a model, a service or a plug-in."""

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from patchbay.core.secret import Secret
from patchbay.guards.base_config import ActionName, GuardBase, SideName

_PLACE, _DOCUMENTS_PLACE = "{text}", "{documents}"
_ENTAILMENT = (
    "Documents:\n{documents}\n\nDo the documents say all of the following? Answer with one word, supported or "
    "unsupported.\n{text}"
)
_HTTP = r"^https?://[^\s/]+[^\s]*$"


class JudgeGuard(GuardBase):
    """The keys of every guard that asks a judge.

    `deadline_s`: the time limit of one verdict, in seconds; `on_error`: what happens where there is no verdict by then;
    `every_chars`: the growth of an answer, in characters, after which it is judged again; `mode`: `strict` releases
    only what was judged, `optimistic` up to `lag_chars` characters more; `most_chars`: the longest text that is judged
    at a time, in characters: a longer one is judged in parts that overlap by half.
    """

    actions: ClassVar[tuple[ActionName, ...]] = ("block", "flag", "route")
    reason: ClassVar[str] = "a text is judged as a whole, so there is nothing to redact"
    deadline_s: float = Field(default=5, gt=0)
    on_error: Literal["fail_closed", "fail_open"] = "fail_closed"
    every_chars: int = Field(default=200, ge=1)
    mode: Literal["strict", "optimistic"] = "strict"
    lag_chars: int = Field(default=400, ge=1)
    most_chars: int = Field(default=4000, ge=100)

    @property
    def asks(self) -> bool:
        """Whether anybody is asked."""
        return True

    @property
    def lag(self) -> int:
        """The number of characters that may be released before they are judged."""
        return 0 if self.mode == "strict" else self.lag_chars


class LlmGuard(JudgeGuard):
    """Asks a safety adapter on the same base model, in the same engine, for one token.

    `model`: its name, or a route's model; `prompt`: the message that it is sent, in which `{text}` stands for the text,
    best at its end; `safe`, `unsafe`: the two words that it answers with; `threshold`: the lowest probability of
    `unsafe`, out of the two, that flags the text.
    """

    kind: Literal["llm"]
    model: str = Field(min_length=1, max_length=200)
    prompt: str = _PLACE
    safe: str = Field(default="safe", min_length=1)
    unsafe: str = Field(default="unsafe", min_length=1)
    threshold: float = Field(default=0.5, gt=0, lt=1)

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        if self.prompt.count(_PLACE) != 1:
            raise ValueError(f"'prompt' holds {_PLACE} once, where the text goes")
        if self.safe.lower() == self.unsafe.lower():
            raise ValueError("'safe' and 'unsafe' must be different words")
        return self


class HttpGuard(JudgeGuard):
    """Asks a service of yours by HTTP.

    `url`: gets a POST of `{"text", "side", "request", "route", "tenant"}`, and answers `{"flagged": true or false}`, to
    which it may add a `kind` and a `score`; `token`: sent as a bearer token.
    """

    kind: Literal["http"]
    url: str = Field(pattern=_HTTP)
    token: Secret | None = None


class PresidioGuard(JudgeGuard):
    """Asks a Presidio analyzer. `url`: its address, without `/analyze`; `entities`: the entities that count, all of
    them if empty; `min_score`: the lowest score, 0 to 1, that counts; `language`: the text's language."""

    kind: Literal["presidio"]
    url: str = Field(pattern=_HTTP)
    entities: tuple[str, ...] = ()
    min_score: float = Field(default=0.5, ge=0, le=1)
    language: str = "en"


class PluginGuard(JudgeGuard):
    """Asks a class of yours. `factory`: `package.module:name` of a callable that takes `options` and returns a judge,
    by the protocol in `patchbay.guards.judges.judge`."""

    kind: Literal["plugin"]
    factory: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    options: dict[str, Any] = Field(default_factory=dict)


class GroundingGuard(JudgeGuard):
    """Flags answers of which too little is supported by the request's `documents`.

    Without a `model` words are compared, at the end of the answer: `share` is the least share of its sentences, 0 to 1,
    that has to be supported, and an answer that cites a document that is not there is flagged too. With one, that model
    is asked for one token, as an `llm` guard's is, and `share` does not count.

    `model`: its name, or a route's model; `prompt`: the message that it is sent, with `{documents}` and `{text}` in it;
    `supported`, `unsupported`: the two words that it answers with; `threshold`: the lowest probability of
    `unsupported`, out of the two, that flags the answer; `document_chars`: the characters of the documents that it is
    sent, from their beginning.
    """

    sides: ClassVar[tuple[SideName, ...]] = ("output",)
    actions: ClassVar[tuple[ActionName, ...]] = ("block", "flag")
    reason: ClassVar[str] = "an answer is held against its sources as a whole, so there is nothing to redact"
    kind: Literal["grounding"]
    on: tuple[SideName, ...] = ("output",)
    action: ActionName = "flag"
    on_error: Literal["fail_closed", "fail_open"] = "fail_open"
    share: float = Field(default=0.6, ge=0, le=1)
    model: str = Field(default="", max_length=200)
    prompt: str = _ENTAILMENT
    supported: str = Field(default="supported", min_length=1)
    unsupported: str = Field(default="unsupported", min_length=1)
    threshold: float = Field(default=0.5, gt=0, lt=1)
    document_chars: int = Field(default=12_000, ge=1)

    @property
    def asks(self) -> bool:
        """Whether a model is asked."""
        return bool(self.model)

    @model_validator(mode="after")
    def _asks_for_support(self) -> Self:
        if self.prompt.count(_PLACE) != 1 or self.prompt.count(_DOCUMENTS_PLACE) != 1:
            raise ValueError(f"'prompt' holds {_DOCUMENTS_PLACE} and {_PLACE} once each")
        if self.supported.lower() == self.unsupported.lower():
            raise ValueError("'supported' and 'unsupported' must be different words")
        return self
