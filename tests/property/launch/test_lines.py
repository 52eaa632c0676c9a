from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from patchbay.launch.lines import LineSplitter

_text = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20)
_cuts = st.lists(st.integers(0, 400), max_size=20)


def _chunks(data: bytes, cuts: list[int]) -> list[bytes]:
    bounds = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    return [data[start:end] for start, end in pairwise(bounds)]


@settings(deadline=None)
@given(st.lists(_text, max_size=20), st.sampled_from(["\n", "\r\n"]), st.booleans(), _cuts)
def test_lines_do_not_depend_on_how_they_arrive(lines: list[str], end: str, ended: bool, cuts: list[int]) -> None:
    data = end.join(lines).encode() + (end.encode() if ended else b"")
    splitter = LineSplitter()
    got = [line for chunk in _chunks(data, cuts) for line in splitter.feed(chunk)] + splitter.end()
    expected = lines if ended or (lines and lines[-1]) else lines[:-1]
    assert got == (expected or ([""] if ended else []))


@settings(deadline=None)
@given(st.text("ab\n", max_size=300), _cuts, st.integers(1, 50))
def test_a_long_line_comes_in_pieces_of_which_none_is_lost(text: str, cuts: list[int], longest: int) -> None:
    splitter = LineSplitter(longest)
    got = [line for chunk in _chunks(text.encode(), cuts) for line in splitter.feed(chunk)] + splitter.end()
    assert all(len(line) <= longest for line in got)
    assert "".join(got) == text.replace("\n", "")


def test_bytes_that_are_no_text_are_shown_as_such() -> None:
    assert LineSplitter().feed(b"a\xffb\n") == ["a�b"]
