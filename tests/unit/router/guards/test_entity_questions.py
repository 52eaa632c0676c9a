"""Questions to a finder: how many, how long, and what comes of none being answered."""

import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest

from patchbay.core.errors import GuardFailed
from patchbay.guards.entities.finder import FinderFailed, FoundEntity
from patchbay.guards.entities.language import Languages
from patchbay.guards.entities.questions import Questions
from patchbay.guards.stream.entity_watch import asked_text
from tests.fakes.names import NameFinder, channel_of, search


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class LockedFinder(NameFinder):
    """A finder that answers once `gate` is open, and notes the most that were asked `at_once`."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.now = self.at_once = 0
        self._lock = threading.Lock()

    def find(self, text: str, language: str) -> Sequence[FoundEntity]:
        with self._lock:
            self.now += 1
            self.at_once = max(self.at_once, self.now)
        self.gate.wait(10)
        with self._lock:
            self.now -= 1
        return super().find(text, language)


def questions(finder: NameFinder, clock: Clock | None = None, deadline_s: float = 10) -> Questions:
    return Questions(finder, Languages(("en",)), deadline_s, clock or Clock())


def test_each_text_is_asked_about_once_and_places_are_those_of_each() -> None:
    finder = NameFinder()
    asked = questions(finder)
    texts = ["Ada Lovelace came", "nobody", "Ada Lovelace came", "then Ada Lovelace"]
    first, second = asked.ask(texts), asked.ask([*texts, "J. R. Tolkien"])
    assert [[one.start for one in answer] for answer in first if not isinstance(answer, FinderFailed)] == [
        [0],
        [],
        [0],
        [5],
    ]
    assert second[:4] == first
    assert sorted(finder.asked) == sorted({*texts, "J. R. Tolkien"})
    assert threading.get_ident() not in finder.threads


def test_a_failure_is_told_for_what_is_left_and_is_not_kept(caplog: pytest.LogCaptureFixture) -> None:
    finder = NameFinder()
    asked = questions(finder)
    finder.failing = True
    texts = [f"text {number}" for number in range(20)]
    assert all(isinstance(answer, FinderFailed) for answer in asked.ask(texts))
    assert len(finder.asked) == 8
    assert caplog.messages == ["a finder of entities has no answer: It fails."]
    finder.failing = False
    calm = questions(finder)
    finder.failing = True
    assert isinstance(calm.ask(["Ada Lovelace"])[0], FinderFailed)
    finder.failing = False
    assert calm.ask(["Ada Lovelace"]) == [[FoundEntity(0, 12, "PERSON", 0.9)]]


def test_a_finder_that_fails_again_and_again_is_not_asked_for_a_while() -> None:
    finder, clock = NameFinder(), Clock()
    asked = questions(finder, clock)
    finder.failing = True
    for number in range(3):
        asked.ask([f"text {number}"])
    assert len(finder.asked) == 3
    finder.failing = False
    assert isinstance(asked.ask(["text"])[0], FinderFailed)
    assert len(finder.asked) == 3
    clock.now = 2.5
    assert asked.ask(["text"]) == [[]]


def test_an_answer_that_does_not_come_in_time_is_none() -> None:
    finder = LockedFinder()
    asked = questions(finder, deadline_s=0.05)
    answer = asked.ask(["Ada Lovelace"])[0]
    finder.gate.set()
    assert isinstance(answer, FinderFailed)
    assert "within 0.05 seconds" in str(answer)


def test_no_more_than_eight_are_asked_at_a_time() -> None:
    finder = LockedFinder()
    asked = questions(finder)
    opener = threading.Timer(0.2, finder.gate.set)
    opener.start()
    assert asked.ask([f"text {number}" for number in range(30)]) == [[]] * 30
    opener.join()
    assert 1 < finder.at_once <= 8
    assert len(finder.asked) == 30


class SlowFinder(NameFinder):
    """A finder of which each question takes a second of `clock`."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self._lock = threading.Lock()

    def find(self, text: str, language: str) -> Sequence[FoundEntity]:
        with self._lock:
            self.clock.now += 1
        return super().find(text, language)


def test_all_questions_of_a_prompt_have_a_time_limit_and_what_was_answered_is_kept() -> None:
    clock = Clock()
    finder = SlowFinder(clock)
    asked = questions(finder, clock, deadline_s=100)
    texts = [f"text {number}" for number in range(40)]
    answers = asked.ask(texts, within_s=10)
    late = [answer for answer in answers if isinstance(answer, FinderFailed)]
    assert len(finder.asked) == 16
    assert len(late) == 24
    assert "more texts than it can look at in 10 seconds" in str(late[0])
    kept = asked.ask(texts, within_s=0)
    assert len(finder.asked) == 16
    assert [isinstance(answer, FinderFailed) for answer in kept] == [False] * 16 + [True] * 24


@pytest.mark.parametrize("closed", [True, False])
def test_a_prompt_of_which_not_all_was_looked_at_is_refused_or_what_was_found_is_taken_out(closed: bool) -> None:
    finder, clock = NameFinder(), Clock()
    asked = questions(finder, clock)
    looks = replace(search(asked, sentences=False), closed=closed, within_s=5)
    assert asked.ask(["By Ada Lovelace."])
    finder.failing = True
    texts = [("By Ada Lovelace.", False), ("By Jane Q. Miller.", False)]
    if closed:
        with pytest.raises(GuardFailed, match="'people' could not look at a text"):
            looks.asked_ahead(texts)
        return
    then = looks.asked_ahead(texts)
    count = len(finder.asked)
    outs, kinds = [], []
    for text, _ in texts:
        channel = channel_of(then)
        got = [channel.feed(text), channel.finish()]
        outs.append("".join(one.text for one in got))
        kinds += [span.kind for one in got for span in one.spans]
    assert outs == ["By [PERSON].", "By Jane Q. Miller."]
    assert kinds == ["PERSON", "ENTITIES_UNCHECKED"]
    assert len(finder.asked) == count


def test_two_escapes_that_are_one_character_are_asked_about_as_that_one() -> None:
    text = "says \\ud842\\udfb7\\u91ce and \\ud842 alone"
    asked, places = asked_text(text, escaped=True)
    assert asked == "says \U00020bb7\u91ce and \ufffd alone"
    assert places is not None
    assert [text[places[at] : places[at + 1]] for at in (5, 6)] == ["\\ud842\\udfb7", "\\u91ce"]
