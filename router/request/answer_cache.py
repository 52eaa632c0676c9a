"""Answer cache for requests whose answer is always the same.

The key is made from the tenant, the exact revision, the guards and the whole request. So no client gets an answer of
another tenant or another revision, or one that other guards let through. When an adapter's name moves to another
revision, the answers of the one before are dropped.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import msgspec

from patchbay.core.json_body import decoded_by
from patchbay.router.fleet.snapshot import Target

_CACHED_ENDPOINTS = frozenset({"chat_completions", "completions", "responses", "messages"})
_MOST_BYTES = 1024 * 1024


class _Sampling(msgspec.Struct, frozen=True, kw_only=True):
    temperature: Any = None
    seed: Any = None
    n: Any = None
    best_of: Any = None
    user: Any = None
    store: Any = None


_SAMPLING = msgspec.json.Decoder(_Sampling)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Answer in the cache. `label`, `engine_name`: of the target that gave it; `at_s`: when it was given."""

    label: str
    engine_name: str
    content_type: bytes
    body: bytes
    at_s: float


class AnswerCache:
    """Cache of answers that drops the least recently used ones first.

    `most_bytes`: of all bodies; `clock`: seconds, monotonic.
    """

    def __init__(self, most_bytes: int, clock: Callable[[], float]) -> None:
        self._most_bytes = most_bytes
        self._clock = clock
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()
        self._bytes = 0
        self._meaning: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, key: bytes, target: Target, within_s: float) -> tuple[Kept, float] | None:
        """Returns the answer under `key` and its age in seconds, None where there is none of at most `within_s`.

        `target`: what the name means now; answers of an older meaning are dropped.
        """
        self._note_meaning(target)
        kept = self._kept.get(key)
        if kept is None or self._clock() - kept.at_s > within_s:
            return None
        self._kept.move_to_end(key)
        return kept, self._clock() - kept.at_s

    def keep(self, key: bytes, target: Target, content_type: bytes, body: bytes) -> None:
        """Keeps an answer of `target` under `key`, unless it is over 1 MiB."""
        if len(body) > _MOST_BYTES:
            return
        self._drop(key)
        self._kept[key] = Kept(
            label=target.label, engine_name=target.engine_name, content_type=content_type, body=body, at_s=self._clock()
        )
        self._bytes += len(body)
        while self._bytes > self._most_bytes:
            self._drop(next(iter(self._kept)))

    def forget(self, revision: str) -> None:
        """Drops the answers of a revision (`sql@4`)."""
        for key in [key for key, kept in self._kept.items() if kept.engine_name.startswith(f"{revision}-")]:
            self._drop(key)

    def clear(self) -> None:
        """Drops all answers."""
        self._kept.clear()
        self._bytes = 0

    def _note_meaning(self, target: Target) -> None:
        if target.arm != "stable" or self._meaning.get(target.label) == target.engine_name:
            return
        self._meaning[target.label] = target.engine_name
        old = [
            key
            for key, kept in self._kept.items()
            if kept.label == target.label and kept.engine_name != target.engine_name
        ]
        for key in old:
            self._drop(key)

    def _drop(self, key: bytes) -> None:
        if (kept := self._kept.pop(key, None)) is not None:
            self._bytes -= len(kept.body)


def cache_key(tenant: str, endpoint: str, target: Target, guards: Sequence[str], body: bytes) -> bytes | None:
    """Makes the key for answers to `body`, None where the next answer could differ. Pure.

    `endpoint`: its name; `target`: what answers; `guards`: names of those that the answer passes, in order.
    """
    if endpoint not in _CACHED_ENDPOINTS or not _is_deterministic(body):
        return None
    mark = blake2b(digest_size=32)
    for part in (tenant, endpoint, target.engine_name, target.digest, *guards):
        mark.update(part.encode() + b"\0")
    mark.update(body)
    return mark.digest()


def _is_deterministic(body: bytes) -> bool:
    sampling = decoded_by(_SAMPLING, body)
    if sampling.n not in (None, 1) or sampling.best_of not in (None, 1) or sampling.store:
        return False
    greedy = isinstance(sampling.temperature, int | float) and sampling.temperature == 0
    return greedy or isinstance(sampling.seed, int)
