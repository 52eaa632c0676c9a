"""Answers to requests that always get the same one, kept for those who ask again.

Kept by tenant, exact revision, guards and the whole request, so nobody gets what is another tenant's, another
revision's or was let through by other guards. When an adapter's name comes to mean another revision, what the one
before said is dropped.
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


class _Sampling(msgspec.Struct, frozen=True):
    temperature: Any = None
    seed: Any = None
    n: Any = None
    best_of: Any = None
    user: Any = None
    store: Any = None


_SAMPLING = msgspec.json.Decoder(_Sampling)


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer. `at_s`: when it was given."""

    label: str
    engine_name: str
    content_type: bytes
    body: bytes
    at_s: float


class AnswerCache:
    """Up to `most_bytes` of answers, the least recently used go first. `clock`: seconds, monotonic."""

    def __init__(self, most_bytes: int, clock: Callable[[], float]) -> None:
        self._most_bytes = most_bytes
        self._clock = clock
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()
        self._bytes = 0
        self._meaning: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, key: bytes, target: Target, within_s: float) -> tuple[Kept, float] | None:
        """The answer kept under `key`, and its age in seconds, where that is at most `within_s`."""
        self._note_meaning(target)
        kept = self._kept.get(key)
        if kept is None or self._clock() - kept.at_s > within_s:
            return None
        self._kept.move_to_end(key)
        return kept, self._clock() - kept.at_s

    def keep(self, key: bytes, target: Target, content_type: bytes, body: bytes) -> None:
        """Keeps an answer; one over 1 MiB is not kept."""
        if len(body) > _MOST_BYTES:
            return
        self._drop(key)
        self._kept[key] = Kept(target.label, target.engine_name, content_type, body, self._clock())
        self._bytes += len(body)
        while self._bytes > self._most_bytes:
            self._drop(next(iter(self._kept)))

    def forget(self, revision: str) -> None:
        """Drops what the revision (`sql@4`) said."""
        for key in [key for key, kept in self._kept.items() if kept.engine_name.startswith(f"{revision}-")]:
            self._drop(key)

    def clear(self) -> None:
        """Drops all."""
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
    """What an answer to `body` is kept under; None where the next answer could be another one. Pure."""
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
