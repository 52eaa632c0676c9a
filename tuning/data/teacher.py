"""The teacher: a stronger model behind an OpenAI-compatible endpoint, such as a route of our own router."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from patchbay.core.errors import UpstreamFailed
from patchbay.tuning.data.rows import Message

if TYPE_CHECKING:
    pass

_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherPlace:
    """The address of a teacher. `url`: up to or with `/v1`; `model`: its name, a route's or a revision's; `api_key`:
    never shown; `temperature`, `max_tokens`: of each answer."""

    url: str
    model: str
    api_key: str | None = None
    temperature: float = 0.9
    max_tokens: int = 1024


class Teacher:
    """Asks the teacher. Close it, or use it as a context manager."""

    def __init__(self, place: TeacherPlace) -> None:
        import httpx

        headers = {"authorization": f"Bearer {place.api_key}"} if place.api_key else {}
        self._place = place
        base = place.url.rstrip("/").removesuffix("/v1")
        self._client: httpx.Client = httpx.Client(base_url=base, headers=headers, timeout=_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def ask(self, messages: Sequence[Message], *, seed: int) -> str:
        """Returns the teacher's answer. `seed`: for servers that heed it. Raises UpstreamFailed."""
        import httpx

        place = self._place
        body = {
            "model": place.model,
            "messages": [dict(message) for message in messages],
            "temperature": place.temperature,
            "max_tokens": place.max_tokens,
            "seed": seed,
        }
        try:
            answer = self._client.post("/v1/chat/completions", json=body)
            answer.raise_for_status()
            return _text_of(answer.json())
        except httpx.HTTPStatusError as error:
            said = error.response.text[:200]
            raise UpstreamFailed(f"The teacher at {place.url} answered {error.response.status_code}: {said}") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UpstreamFailed(f"The teacher at {place.url} cannot be asked: {error}") from error
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise UpstreamFailed(f"The teacher at {place.url} answered in no format that is known.") from error


def _text_of(document: Any) -> str:
    return str(document["choices"][0]["message"]["content"] or "")
