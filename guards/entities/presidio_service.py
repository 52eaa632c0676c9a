"""Presidio's analyzer as a service, asked by one POST for each text.

Source: https://microsoft.github.io/presidio/api-docs/api-docs.html (POST /analyze). Its places are code points, as
Python's are.
"""

import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Final

import httpx
import msgspec

from patchbay.guards.entities.config import EntitiesGuard
from patchbay.guards.entities.finder import FinderFailed, FoundEntity, checked

# Bytes of an answer that are read.
_MOST_BYTES: Final = 1024 * 1024


class _Result(msgspec.Struct, frozen=True, kw_only=True):
    entity_type: str
    start: int
    end: int
    score: float


_RESULTS: Final = msgspec.json.Decoder(list[_Result])


class PresidioService:
    """An `EntityFinder` that asks the service at a guard's `url`. `clock`: returns seconds that only grow."""

    def __init__(self, config: EntitiesGuard, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = f"{(config.url or '').rstrip('/')}/analyze"
        self._fields = {"entities": sorted(config.kinds), "score_threshold": config.min_score}
        self._deadline_s = config.deadline_s
        self._clock = clock

    def prepare(self) -> None:
        """Makes the client; see `EntityFinder`."""
        _ = self._client

    def find(self, text: str, language: str) -> Sequence[FoundEntity]:
        """Returns what is found in `text`; see `EntityFinder`."""
        body = self._post({"text": text, "language": language, **self._fields})
        try:
            results = _RESULTS.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise FinderFailed("Its answer is no list of entities.") from error
        return checked([(one.start, one.end, one.entity_type, one.score) for one in results], text)

    @cached_property
    def _client(self) -> httpx.Client:
        # It ignores the environment's proxies: texts go only where the configuration says.
        # Certificates take a while to load, and are no use without TLS.
        return httpx.Client(timeout=self._deadline_s, trust_env=False, verify=self._url.startswith("https"))

    def _post(self, fields: dict[str, object]) -> bytes:
        until = self._clock() + self._deadline_s
        try:
            with self._client.stream("POST", self._url, json=fields) as answer:
                if answer.status_code != 200:
                    raise FinderFailed(f"It answers {answer.status_code}.")
                body = b""
                for data in answer.iter_bytes():
                    body += data
                    if len(body) > _MOST_BYTES:
                        raise FinderFailed(f"Its answer is larger than {_MOST_BYTES} bytes.")
                    if self._clock() > until:
                        raise FinderFailed("Its answer takes too long.")
                return body
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise FinderFailed(f"It cannot be asked: {type(error).__name__}.") from error
