"""A name is suggested for a slip of the pen, and for nothing farther off."""

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbay.core.nearest import allowed_slips, nearest, slips

NAMES = st.text("abcdeAB_-@é", min_size=1, max_size=12)
KNOWN = st.lists(NAMES, max_size=6)


@cache
def plain_slips(one: str, other: str) -> int:
    """The same distance as its definition says it, without a table."""
    if not one or not other:
        return len(one) + len(other)
    found = [
        plain_slips(one[:-1], other) + 1,
        plain_slips(one, other[:-1]) + 1,
        plain_slips(one[:-1], other[:-1]) + (one[-1] != other[-1]),
    ]
    if len(one) > 1 and len(other) > 1 and (one[-1], one[-2]) == (other[-2], other[-1]):
        found.append(plain_slips(one[:-2], other[:-2]) + 1)
    return min(found)


@given(one=st.text("abc", max_size=6), other=st.text("abc", max_size=6))
def test_slips_are_counted_as_they_are_defined(one: str, other: str) -> None:
    assert slips(one, other) == plain_slips(one, other)


@given(name=NAMES, known=KNOWN)
def test_what_is_suggested_is_near_and_nothing_known_is_nearer(name: str, known: list[str]) -> None:
    found = nearest(name, known)
    if found is None:
        return
    distance = slips(name.lower(), found.lower())
    assert found in known
    assert distance <= (max(len(name), len(found)) + 1) // 4
    assert distance <= min(
        slips(name.lower(), one.lower())
        for one in known
        if slips(name.lower(), one.lower()) <= allowed_slips(name, one)
    )


@given(name=st.text("abcdeAB_", min_size=3, max_size=12), known=KNOWN, slip=st.data())
def test_one_slip_is_always_understood(name: str, known: list[str], slip: st.DataObject) -> None:
    place = slip.draw(st.integers(0, len(name) - 2))
    wrong = slip.draw(
        st.sampled_from(
            (
                name[:place] + "x" + name[place:],
                name[:place] + "x" + name[place + 1 :],
                name[:place] + name[place + 1] + name[place] + name[place + 2 :],
            )
        )
    )
    assert nearest(wrong, [*known, name]) is not None


@pytest.mark.parametrize(
    ("wrong", "known"),
    [("labels", "tables"), ("general", "answers"), ("pii", "pro"), ("a", "b"), ("mysql", "msgpack"), ("x" * 40, "y")],
)
def test_another_word_is_no_slip(wrong: str, known: str) -> None:
    assert nearest(wrong, [known]) is None


def test_one_slip_is_found_among_thousands() -> None:
    assert nearest("adapter-4127x", [f"adapter-{number}" for number in range(5000)]) == "adapter-4127"
