"""HTTP judges: services of yours and Presidio analyzers, asked by one POST for each verdict."""

from collections.abc import Mapping
from typing import Any

import httpx
import msgspec
from pydantic import Field, ValidationError

from patchbay.core.settings import Settings
from patchbay.guards.judges.config import HttpGuard, PresidioGuard
from patchbay.guards.judges.judge import JudgeFailed, JudgeVerdict, TextOrigin
from patchbay.guards.verdict import Side

_KIND = r"^[A-Za-z][A-Za-z0-9_-]{0,31}$"
# Bytes of an answer that are read.
_MOST_BYTES = 1024 * 1024


class _ServiceVerdict(Settings):
    """The answer of a service."""

    flagged: bool
    kind: str = Field(default="UNSAFE", pattern=_KIND)
    score: float = Field(default=1.0, ge=0, le=1)


class _Service:
    """A client of the service at `url`. `headers`: of every request; `timeout_s`: the time limit of one answer, in
    seconds."""

    def __init__(self, url: str, headers: Mapping[str, str], timeout_s: float) -> None:
        self._url = url
        self._headers = headers
        self._timeout_s = timeout_s
        self._client: httpx.AsyncClient | None = None

    def open(self) -> None:
        """Makes the client. It ignores the environment's proxies: texts go only where the configuration says."""
        self._client = httpx.AsyncClient(headers=self._headers, timeout=self._timeout_s, trust_env=False)

    async def post(self, fields: Mapping[str, Any]) -> bytes:
        """Sends `fields` as JSON, and returns the answer's body. Raises JudgeFailed where there is none with status
        200."""
        if self._client is None:
            raise JudgeFailed("It was not started.")
        try:
            async with self._client.stream("POST", self._url, json=fields) as answer:
                if answer.status_code != 200:
                    raise JudgeFailed(f"It answers {answer.status_code}.")
                body = b""
                async for data in answer.aiter_bytes():
                    body += data
                    if len(body) > _MOST_BYTES:
                        raise JudgeFailed(f"Its verdict is larger than {_MOST_BYTES} bytes.")
                return body
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise JudgeFailed(f"It cannot be asked: {type(error).__name__}.") from error

    async def close(self) -> None:
        """Closes the client's connections."""
        if self._client is not None:
            await self._client.aclose()


class HttpJudge:
    """A `Judge` that asks a service of yours."""

    def __init__(self, config: HttpGuard) -> None:
        token = config.token.get_secret_value() if config.token is not None else None
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._service = _Service(config.url, headers, config.deadline_s)

    async def start(self) -> None:
        """Opens the client."""
        self._service.open()

    async def prompt(self, text: str, facts: TextOrigin) -> JudgeVerdict:
        """Judges the text of a prompt; see `Judge`."""
        return await self._ask(text, "input", facts)

    async def answer(self, text: str, facts: TextOrigin) -> JudgeVerdict:
        """Judges an answer so far; see `Judge`."""
        return await self._ask(text, "output", facts)

    async def close(self) -> None:
        """Closes the client."""
        await self._service.close()

    async def _ask(self, text: str, side: Side, facts: TextOrigin) -> JudgeVerdict:
        origin = {"request": facts.request, "route": facts.route, "tenant": facts.tenant}
        body = await self._service.post({"text": text, "side": side, **origin})
        try:
            verdict = _ServiceVerdict.model_validate_json(body)
        except ValidationError as error:
            raise JudgeFailed("Its verdict is none.") from error
        return JudgeVerdict(verdict.flagged, verdict.kind.upper(), verdict.score)


class _Entity(msgspec.Struct, frozen=True):
    entity_type: str
    score: float


_ENTITIES = msgspec.json.Decoder(list[_Entity])


class PresidioJudge:
    """A `Judge` that flags a text where a Presidio analyzer finds an entity in it.

    Source: https://microsoft.github.io/presidio/api-docs/api-docs.html (POST /analyze).
    """

    def __init__(self, config: PresidioGuard) -> None:
        self._fields = {"language": config.language, "score_threshold": config.min_score}
        if config.entities:
            self._fields["entities"] = list(config.entities)
        self._service = _Service(f"{config.url.rstrip('/')}/analyze", {}, config.deadline_s)

    async def start(self) -> None:
        """Opens the client."""
        self._service.open()

    async def prompt(self, text: str, facts: TextOrigin) -> JudgeVerdict:
        """Judges the text of a prompt; see `Judge`."""
        return await self._ask(text)

    async def answer(self, text: str, facts: TextOrigin) -> JudgeVerdict:
        """Judges an answer so far; see `Judge`."""
        return await self._ask(text)

    async def close(self) -> None:
        """Closes the client."""
        await self._service.close()

    async def _ask(self, text: str) -> JudgeVerdict:
        body = await self._service.post({"text": text, **self._fields})
        try:
            entity = max(_ENTITIES.decode(body), key=lambda entity: entity.score, default=None)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise JudgeFailed("Its verdict is none.") from error
        return JudgeVerdict(False) if entity is None else JudgeVerdict(True, entity.entity_type[:32], entity.score)
