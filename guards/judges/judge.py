"""The protocol of those who judge a text as a whole."""

from dataclasses import dataclass
from typing import Protocol

from patchbay.core.errors import PatchbayError


class JudgeFailed(PatchbayError):
    """There is no verdict."""


@dataclass(frozen=True, slots=True)
class JudgeVerdict:
    """`kind`: what the text is, where it is `flagged`: a word of few, for metrics; `score`: how surely, 0 to 1."""

    flagged: bool
    kind: str = "UNSAFE"
    score: float = 1.0


@dataclass(frozen=True, slots=True)
class TextOrigin:
    """Whose text it is. `request`: its id; `tenant`: "" without keys."""

    request: str
    route: str = ""
    tenant: str = ""


class Judge(Protocol):
    """Who judges. `prompt` and `answer` are asked by many requests at a time, and can be cancelled at any await; they
    raise JudgeFailed where they have no verdict."""

    async def start(self) -> None:
        """Opens what it needs. Called once, before anything else."""

    async def prompt(self, text: str, facts: TextOrigin) -> JudgeVerdict:
        """Judges what a user says."""

    async def answer(self, text: str, facts: TextOrigin) -> JudgeVerdict:
        """Judges an answer so far: asked again as it grows, the text beginning as it did before."""

    async def close(self) -> None:
        """Gives back what it holds. Called once, after everything else."""
