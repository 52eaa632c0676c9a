"""Entities in growing texts: what comes out beside a look at the whole text, however it is cut."""

import json
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from patchbay.guards.entities.sentences import sentence_end
from patchbay.guards.entities.windows import LONGEST, Windows
from patchbay.guards.stream.channel import Released
from tests.fakes.names import PERSON, AtOnce, NameFinder, channel_of, found_in, search

NAMES = [
    "Jane Q. Miller",
    "Ada Lovelace",
    "J. R. Tolkien",
    "Anna-Lena M\u00fcller",
    "\u738b\u5c0f\u660e",
    "x" * 119 + "y",
]
PARTS = [
    *(*NAMES, "Springfield", "12 Main Street", "Dr.", "on 3. May", "came", "and", "\u6771\u4eac\u3002", "e.g. this"),
    *(
        ".",
        "!",
        "?",
        " ",
        " ",
        " ",
        "\n",
        "\n\n",
        "\n- ",
        '."',
        "\u3002",
        "\U0001f600",
        "long-word-" * 12,
        "word " * 70,
    ),
]
TEXTS = st.lists(st.sampled_from(PARTS), max_size=30).map("".join)
CUTS = st.lists(st.integers(0, 4000), max_size=25)


def pieces(text: str, cuts: list[int]) -> list[str]:
    return [text[start:end] for start, end in pairwise(sorted({0, len(text), *(min(len(text), cut) for cut in cuts)}))]


def released(text: str, cuts: list[int], *, is_json: bool = False, sentences: bool = True) -> list[Released]:
    channel = channel_of(search(AtOnce(NameFinder()), sentences=sentences), is_json=is_json)
    return [*(channel.feed(piece) for piece in pieces(text, cuts)), channel.finish()]


def out(all_released: list[Released]) -> str:
    return "".join(one.text for one in all_released)


def told(all_released: list[Released]) -> list[tuple[int, int, str]]:
    return sorted((span.start, span.end, span.kind) for one in all_released for span in one.spans)


def by_whole(text: str) -> list[tuple[int, int, str]]:
    return sorted((one.start, one.end, one.kind) for one in found_in(text))


@given(text=TEXTS, cuts=CUTS, sentences=st.booleans())
@example(text="word " * 70 + "Ada Lovelace", cuts=[352], sentences=True)
def test_a_text_cut_anywhere_comes_out_as_a_whole_one_does(text: str, cuts: list[int], sentences: bool) -> None:
    whole, cut = released(text, [], sentences=sentences), released(text, cuts, sentences=sentences)
    assert out(cut) == out(whole)
    assert told(cut) == told(whole)
    each = released(text, list(range(len(text))), sentences=sentences)
    assert (out(each), told(each)) == (out(whole), told(whole))


@given(text=TEXTS, cuts=CUTS, sentences=st.booleans())
def test_what_a_look_at_the_whole_text_finds_is_found_sentence_by_sentence(
    text: str, cuts: list[int], sentences: bool
) -> None:
    got = released(text, cuts, sentences=sentences)
    assert told(got) == by_whole(text)
    assert out(got) == PERSON.sub("[PERSON]", text)


@given(text=TEXTS, cuts=CUTS)
def test_nothing_of_a_name_is_let_go_before_the_name_was_looked_at(text: str, cuts: list[int]) -> None:
    channel, done = channel_of(search(AtOnce(NameFinder()))), 0
    for piece in pieces(text, cuts):
        channel.feed(piece)
        done += len(piece)
        for start, end, kind in by_whole(text):
            # No part of a name went out while the name had not come to its end.
            assert kind != "PERSON" or not start < done < end or channel.length - channel.held <= start


@given(text=TEXTS, cuts=CUTS)
def test_a_blocked_name_ends_the_text_before_it(text: str, cuts: list[int]) -> None:
    def through(at: list[int]) -> tuple[str, bool]:
        channel = channel_of(search(AtOnce(NameFinder()), person="block"))
        got = "".join(channel.feed(piece).text for piece in pieces(text, at)) + channel.finish().text
        return got, channel.blocked

    first = PERSON.search(text)
    assert through(cuts) == ((text, False) if first is None else (text[: first.start()], True))


@given(
    value=st.recursive(
        st.sampled_from(["Ada Lovelace", "Anna-Lena M\u00fcller", "a\nb", '"', "\\", "\U0001f600 Ada Lovelace", 7]),
        st.lists,
    ),
    cuts=CUTS,
)
def test_names_in_json_are_found_whatever_their_escapes_and_json_stays_json(value: object, cuts: list[int]) -> None:
    text = json.dumps({"value": value}, ensure_ascii=True)
    got = released(text, cuts, is_json=True)
    assert out(got) == out(released(text, [], is_json=True))
    assert "Lovelace" not in json.dumps(json.loads(out(got)))
    assert "\\u00fcller" not in out(got)
    assert ("[PERSON]" in out(got)) == ("Ada" in text or "Lena" in text)


@given(text=TEXTS, cuts=CUTS, most=st.sampled_from([300, 600]))
def test_what_waits_is_bounded_and_each_character_is_in_one_window(text: str, cuts: list[int], most: int) -> None:
    windows, made, fed = Windows(most, sentences=True), [], 0
    for piece in pieces(text, cuts):
        made += windows.add(piece)
        fed += len(piece)
        assert fed - windows.live <= most
    made += windows.finish()
    assert "".join(one.text[one.start - one.at : one.end - one.at] for one in made) == text
    assert [one.start for one in made[1:]] == [one.end for one in made[:-1]]
    for one in made:
        assert text[one.at : one.at + len(one.text)] == one.text
        assert one.end - one.start <= most
        # A window ends with a sentence, or is asked about with the longest entity that may begin in it.
        assert (one.at + len(one.text) == one.end) or one.at + len(one.text) - one.end >= LONGEST


@given(text=TEXTS, more=TEXTS)
def test_an_end_of_a_sentence_stays_one_whatever_comes_after_it(text: str, more: str) -> None:
    end = sentence_end(text, 0, len(text))
    if end is not None:
        assert sentence_end(text + more, 0, len(text + more)) == end
