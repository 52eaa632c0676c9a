"""Questions to a finder: asked a few at a time in threads of their own, each with a time limit, and each only once.

A conversation sends its earlier turns again each time, so answers are kept, by a hash of the text and never with it.
"""

import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from hashlib import blake2b
from typing import Final

from patchbay.guards.entities.adapter_finder import AdapterFinder, AskBlocking
from patchbay.guards.entities.finder import EntityFinder, FinderFailed, FoundEntity
from patchbay.guards.entities.language import Languages

_log = logging.getLogger("patchbay.guards")
# Questions that are asked of a service at a time.
_AT_A_TIME: Final = 8
_MOST_KEPT: Final = 8192
# After so many failures in a row nobody is asked for so many seconds: each would hold a request for its time limit.
_FAILURES: Final = 3
_REST_S: Final = 2.0

Answer = Sequence[FoundEntity] | FinderFailed


class _Health:
    """The health of a finder: it rests after some failures in a row. Thread-safe."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures = 0
        self._until = 0.0
        self._lock = threading.Lock()

    @property
    def rests(self) -> bool:
        return self._clock() < self._until

    def note(self, *, failed: bool) -> None:
        with self._lock:
            self._failures = self._failures + 1 if failed else 0
            if self._failures >= _FAILURES:
                self._until = self._clock() + _REST_S


class _Kept:
    """The answers that were given last. Thread-safe."""

    def __init__(self) -> None:
        self._answers: OrderedDict[bytes, Sequence[FoundEntity]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: bytes) -> Sequence[FoundEntity] | None:
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
            return self._answers.get(key)

    def keep(self, key: bytes, answer: Sequence[FoundEntity]) -> None:
        with self._lock:
            self._answers[key] = answer
            if len(self._answers) > _MOST_KEPT:
                self._answers.popitem(last=False)


class Questions:
    """Asks one finder. Thread-safe; `ask` blocks, so it is never called on an event loop.

    `finder`: who is asked; `languages`: tells a text's language; `deadline_s`: the time limit of each answer, in
    seconds, in which it may have to wait for a thread; `clock`: returns seconds that only grow; `at_a_time`: the most
    questions that are asked at a time.
    """

    def __init__(
        self,
        finder: EntityFinder,
        languages: Languages,
        deadline_s: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        at_a_time: int = _AT_A_TIME,
    ) -> None:
        self._finder = finder
        self._languages = languages
        self._deadline_s = deadline_s
        self._clock = clock
        self._at_a_time = at_a_time
        self._health = _Health(clock)
        self._kept = _Kept()

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._at_a_time, "entities")

    def ask(self, texts: Sequence[str], *, within_s: float = math.inf, by: AskBlocking | None = None) -> list[Answer]:
        """Returns what is found in each of `texts`, or why that is not known. After the first failure nothing more of
        them is asked. `within_s`: the time limit of all together, in seconds: at 0 only kept answers are returned;
        `by`: asks a model on the engine, where the finder is an adapter."""
        keys = [_key(text) for text in texts]
        answers: list[Answer | None] = [self._kept.get(key) for key in keys]
        wanted = dict[bytes, str]()
        for key, text, answer in zip(keys, texts, answers, strict=True):
            if answer is None:
                wanted[key] = text
        finder = self._finder
        if by is not None and isinstance(finder, AdapterFinder):
            finder = finder.asking(by)
        got = self._asked(wanted, within_s, finder) if wanted else {}
        return [got[key] if answer is None else answer for key, answer in zip(keys, answers, strict=True)]

    def _asked(self, texts: dict[bytes, str], within_s: float, finder: EntityFinder) -> dict[bytes, Answer]:
        """Asks about each of `texts` once, as many at a time as may be."""
        answers = dict[bytes, Answer]()
        waiting = list(texts)
        try:
            self._languages.prepare()
            finder.prepare()
        except FinderFailed as error:
            _log.warning("a finder of entities cannot be asked: %s", error)
            return dict.fromkeys(waiting, error)
        until = self._clock() + within_s
        while waiting:
            if self._clock() >= until:
                late = FinderFailed(f"A prompt has more texts than it can look at in {within_s:g} seconds.")
                if within_s:
                    _log.warning("a finder of entities is too slow: %s", late)
                return answers | dict.fromkeys(waiting, late)
            # No more than there are threads, so that a question's time limit is not spent on waiting for one's own.
            some, waiting = waiting[: self._at_a_time], waiting[self._at_a_time :]
            answers |= self._some({key: texts[key] for key in some}, finder)
            if (failure := first_failure(answers.values())) is not None:
                return answers | dict.fromkeys(waiting, failure)
        return answers

    def _some(self, texts: dict[bytes, str], finder: EntityFinder) -> dict[bytes, Answer]:
        if self._health.rests:
            return dict.fromkeys(texts, FinderFailed("It failed several times, and is not asked for a while."))
        asked = {key: self._threads.submit(self._one, text, finder) for key, text in texts.items()}
        until = self._clock() + self._deadline_s
        answers = {key: self._answer(future, until) for key, future in asked.items()}
        for key, answer in answers.items():
            self._health.note(failed=isinstance(answer, FinderFailed))
            if not isinstance(answer, FinderFailed):
                self._kept.keep(key, answer)
        if (failure := first_failure(answers.values())) is not None:
            _log.warning("a finder of entities has no answer: %s", failure)
        return answers

    def _one(self, text: str, finder: EntityFinder) -> Sequence[FoundEntity]:
        return finder.find(text, self._languages.of(text))

    def _answer(self, future: "Future[Sequence[FoundEntity]]", until: float) -> Answer:
        try:
            return future.result(max(0.0, until - self._clock()))
        except FinderFailed as error:
            return error
        except TimeoutError:
            future.cancel()
            return FinderFailed(f"It has no answer within {self._deadline_s:g} seconds.")


def first_failure(answers: Iterable[Answer]) -> FinderFailed | None:
    """Returns the first failure of `answers`; None where there is none."""
    return next((one for one in answers if isinstance(one, FinderFailed)), None)


def _key(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
