"""A channel's releases, beside a count by hand: watches that find what a test says, whatever the text is."""

from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbay.guards.stream.channel import Channel, Released
from patchbay.guards.stream.watch import WatchState
from patchbay.guards.verdict import OPEN, Action, FoundSpan


def span(start: int, end: int, action: Action = "redact", rule: str = "r") -> FoundSpan:
    return FoundSpan(start=start, end=end, guard="g", rule=rule, kind="KIND", action=action)


@dataclass
class ScriptedWatch:
    """A watch that finds `spans`, each once all that is before it and `late` characters more have come. `ends`: where
    open ones end, by rule."""

    spans: list[FoundSpan]
    late: int = 0
    ends: dict[str, int] = field(default_factory=dict)
    count: int = 0

    def feed(self, text: str) -> WatchState:
        self.count += len(text)
        return self._state(max(0, self.count - self.late))

    def finish(self) -> WatchState:
        return self._state(self.count)

    def _state(self, live: int) -> WatchState:
        ready = [one for one in self.spans if one.start < live]
        self.spans = [one for one in self.spans if one.start >= live]
        over = [(rule, place) for rule, place in self.ends.items() if place <= live]
        self.ends = {rule: place for rule, place in self.ends.items() if place > live}
        return WatchState(ready, live, over)


def marked(found: FoundSpan) -> str:
    return f"<{found.start}>"


def by_hand(text: str, spans: list[FoundSpan], ends: dict[str, int]) -> tuple[str, bool]:
    """What is let go of `text` in all, and whether something was left out: character by character."""
    out, covered_to = "", 0
    ordered = sorted(spans, key=lambda one: (one.start, -one.end, one.rule))
    changed = False
    for place in range(len(text) + 1):
        marker = ""
        for one in (one for one in ordered if one.start == place):
            # Where nothing of a span was left out before the block, nothing stands in its place.
            if one.action == "block":
                return out, changed
            if one.action in ("redact", "mask"):
                changed = True
                if place >= covered_to:
                    marker = marked(one)
                covered_to = max(covered_to, ends.get(one.rule, OPEN) if one.end == OPEN else one.end)
        out += marker
        if place < len(text) and place >= covered_to:
            out += text[place]
    return out, changed


TEXT = "abcdefghijklmnopqrst"
ACTIONS: list[Action] = ["redact", "mask", "flag", "route", "block"]


@st.composite
def found_spans(draw: st.DrawFn) -> tuple[list[FoundSpan], dict[str, int]]:
    """Spans with an end, at most one for each place and length, and one that is open, with or without an end."""
    spans = []
    for start, length in draw(st.sets(st.tuples(st.integers(0, 19), st.integers(1, 6)), max_size=5)):
        action = draw(st.sampled_from(ACTIONS[:4] if draw(st.integers(0, 3)) else ACTIONS))
        spans.append(span(start, min(20, start + length), action, rule=f"r{start}+{length}"))
    ends: dict[str, int] = {}
    if draw(st.booleans()):
        start = draw(st.integers(0, 18))
        spans.append(span(start, OPEN, rule="open"))
        if draw(st.booleans()):
            ends["open"] = draw(st.integers(start + 1, 20))
    return spans, ends


@given(found_spans(), st.lists(st.integers(0, 20), max_size=8), st.integers(0, 5), st.integers(0, 5))
def test_what_is_let_go_is_what_a_count_by_hand_says_however_the_text_is_cut(
    found: tuple[list[FoundSpan], dict[str, int]], cuts: list[int], late: int, later: int
) -> None:
    spans, ends = found
    # Two watches with other delays find every other span each.
    watches = [ScriptedWatch(spans[::2], late), ScriptedWatch(spans[1::2], later)]
    for watch in watches:
        watch.ends = {rule: end for rule, end in ends.items() if any(one.rule == rule for one in watch.spans)}
    channel = Channel(watches, marked)
    pieces = [TEXT[start:end] for start, end in pairwise(sorted({0, 20, *cuts}))]
    got = [*(channel.feed(piece) for piece in pieces), channel.finish()]
    expected, changed = by_hand(TEXT, spans, ends)
    assert "".join(one.text for one in got) == expected
    blocks = [one for one in spans if one.action == "block"]
    assert channel.blocked is bool(blocks)
    assert channel.held == 0
    if not blocks:
        assert channel.changed is changed
        told = [one for part in got for one in part.spans]
        assert sorted(told, key=repr) == sorted(spans, key=repr)
        texts = [text for part in got for text in part.texts]
        # What has come of a span's text by then is told.
        for one, text in zip(told, texts, strict=True):
            assert text
            assert TEXT[one.start : one.end].startswith(text)


def test_a_block_tells_its_span_and_its_text_and_lets_nothing_go_after_it() -> None:
    blocking = span(3, 6, "block")
    channel = Channel([ScriptedWatch([blocking, span(8, 9)])], marked)
    assert channel.feed("abcdefgh") == Released("abc", [blocking], ["def"], blocking)
    assert (channel.blocked, channel.held, channel.length) == (True, 0, 8)
    assert channel.feed("ijk") == Released("")
    assert channel.finish() == Released("")
    assert channel.length == 8


def test_what_is_held_and_what_came_is_counted() -> None:
    channel = Channel([ScriptedWatch([], late=3)], marked)
    assert (channel.held, channel.length, channel.changed) == (0, 0, False)
    assert channel.feed("ab") == Released("")
    assert (channel.held, channel.length) == (2, 2)
    assert channel.feed("cde") == Released("ab")
    assert (channel.held, channel.length) == (3, 5)
    assert channel.feed("") == Released("")
    assert channel.finish() == Released("cde")
    assert channel.finish() == Released("")
    assert channel.held == 0


def test_without_a_watch_all_is_let_go_at_once() -> None:
    assert Channel([], marked).feed("abc") == Released("abc")


def test_the_end_of_a_text_lets_go_what_a_watch_still_held_and_ends_what_is_open() -> None:
    channel = Channel([ScriptedWatch([span(1, OPEN)], ends={"r": 3})], marked)
    assert channel.feed("ab").text == "a<1>"
    assert channel.feed("cdef").text == "def"
    open_ = Channel([ScriptedWatch([span(1, OPEN)])], marked)
    assert (open_.feed("abc").text, open_.finish().text) == ("a<1>", "")


def test_of_two_spans_at_one_place_the_longer_is_marked() -> None:
    short, long_ = span(0, 2, rule="a"), span(0, 4, rule="b")
    got = Channel([ScriptedWatch([short, long_])], lambda one: f"<{one.rule}>").feed("abcdef")
    assert (got.text, got.spans) == ("<b>ef", [long_, short])
    same = [replace(short, rule="z"), replace(short, rule="c")]
    assert Channel([ScriptedWatch(same)], lambda one: f"<{one.rule}>").feed("abc").text == "<c>c"


@pytest.mark.parametrize(
    ("text", "start", "end", "shown"),
    [
        ('{"a":1234}', 5, 9, '{"a":"<5>"}'),
        ('{"a":"1234"}', 6, 10, '{"a":"<6>"}'),
        ('{"a":12.4}', 5, 9, '{"a":"<5>"}'),
        ('{"a":-1234}', 6, 10, '{"a":"<6>"}'),
        ('{"a":1.41e9}', 7, 9, '{"a":"<7>"}'),
        ('{"a":[12,34]}', 9, 11, '{"a":[12,"<9>"]}'),
        ('{"a\\"":1234}', 7, 11, '{"a\\"":"<7>"}'),
    ],
)
def test_a_number_in_json_is_marked_by_a_string(text: str, start: int, end: int, shown: str) -> None:
    for size in (1, 3, len(text)):
        channel = Channel([ScriptedWatch([span(start, end)], late=6)], marked, is_json=True)
        out = [channel.feed(text[at : at + size]).text for at in range(0, len(text), size)]
        assert "".join([*out, channel.finish().text]) == shown
    # So it is in a text that is no document, but has one in it.
    around = f'see "it" {text} and [1] {text[start:end]}'
    spans = [span(start + 9, end + 9), span(len(around) - (end - start), len(around))]
    plain = Channel([ScriptedWatch(spans)], marked)
    shown = shown.replace(f"<{start}>", f"<{start + 9}>")
    assert plain.feed(around).text + plain.finish().text == f'see "it" {shown} and [1] <{spans[1].start}>'
