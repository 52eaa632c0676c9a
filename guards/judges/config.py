"""The configuration of guards that ask somebody else."""

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from patchbay.core.secret import Secret
from patchbay.guards.base_config import ActionName, GuardBase

_PLACE = "{text}"
_HTTP = r"^https?://[^\s/]+[^\s]*$"


class JudgeGuard(GuardBase):
    """What all of them have. `deadline_s`: for one verdict; `on_error`: what happens where there is none by then;
    `every_chars`: how much more of an answer is judged at a time; `mode`: `strict` lets out only what was judged,
    `optimistic` up to `lag_chars` more; `most_chars`: what is judged at a time of a long text, its parts overlapping by
    half."""

    deadline_s: float = Field(default=5, gt=0)
    on_error: Literal["fail_closed", "fail_open"] = "fail_closed"
    every_chars: int = Field(default=200, ge=1)
    mode: Literal["strict", "optimistic"] = "strict"
    lag_chars: int = Field(default=400, ge=1)
    most_chars: int = Field(default=4000, ge=100)

    @field_validator("action")
    @classmethod
    def _has_no_spans(cls, value: ActionName) -> ActionName:
        if value in ("redact", "mask"):
            raise ValueError("a text is judged as a whole, so there is nothing to redact: use block, flag or route")
        return value

    @property
    def lag(self) -> int:
        """How many characters may go out that were not judged."""
        return 0 if self.mode == "strict" else self.lag_chars


class LlmGuard(JudgeGuard):
    """Asks a safety adapter on the same base, in the same engine, for one token. `model`: its name, or a route's model;
    `prompt`: the message that it is sent, with the text for `{text}`, at its end best; `safe`, `unsafe`: what it
    answers; `threshold`: the probability of the second, of both, from which on something is done."""

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
    """Asks a service of yours: a POST to `url` of `{"text", "side", "request", "route", "tenant"}`, which answers
    `{"flagged": true or false}`, and may add a `kind` and a `score`. `token`: shown as a bearer token."""

    kind: Literal["http"]
    url: str = Field(pattern=_HTTP)
    token: Secret | None = None


class PresidioGuard(JudgeGuard):
    """Asks a Presidio analyzer. `url`: where it is, without `/analyze`; `entities`: those that count, all without;
    `min_score`: from which on they do; `language`: the text's."""

    kind: Literal["presidio"]
    url: str = Field(pattern=_HTTP)
    entities: tuple[str, ...] = ()
    min_score: float = Field(default=0.5, ge=0, le=1)
    language: str = "en"


class PluginGuard(JudgeGuard):
    """Asks a class of yours. `factory`: `package.module:name` of what is called with `options` and gives a judge, by
    the protocol of `patchbay.guards.judges.judge`."""

    kind: Literal["plugin"]
    factory: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    options: dict[str, Any] = Field(default_factory=dict)
