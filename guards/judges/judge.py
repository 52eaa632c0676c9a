"""The protocol of judges, which give a verdict on a text as a whole."""

from dataclasses import dataclass
from typing import Protocol

from patchbay.core.errors import PatchbayError


class JudgeFailed(PatchbayError):
    """Raised by a judge that has no verdict."""


@dataclass(frozen=True, slots=True)
class JudgeVerdict:
    """The verdict of a judge on a text.

    `flagged`: whether something is wrong with it; `kind`: what that is, a word out of few, as metrics count by it;
    `score`: how sure the judge is, 0 to 1.
    """

    flagged: bool
    kind: str = "UNSAFE"
    score: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TextOrigin:
    """The origin of a text: the request's id, its route, its tenant ("" without keys), and the texts of the documents
    that came with the request."""

    request: str
    route: str = ""
    tenant: str = ""
    documents: tuple[str, ...] = ()


class Judge(Protocol):
    """Gives verdicts on texts.

    `prompt` and `answer` are called by many requests at a time, and can be cancelled at any await. They raise
    JudgeFailed where they have no verdict.
    """

    async def start(self) -> None:
        """Opens what the judge needs. Called once, before anything else."""

    async def prompt(self, text: str, facts: TextOrigin) -> JudgeVerdict:
        """Judges the text of a prompt."""

    async def answer(self, text: str, facts: TextOrigin) -> JudgeVerdict:
        """Judges an answer so far. Called again as it grows; the text then begins as it did before."""

    async def close(self) -> None:
        """Closes what the judge has opened. Called once, after everything else."""
