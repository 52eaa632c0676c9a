from hypothesis import given
from hypothesis import strategies as st

from patchbay.guards.grounding import grounding, sentences

pieces = [
    "tea",
    "Tea's",
    "ÉTÉ",
    "3.5",
    "e.g.",
    "Dr.",
    "the",
    "茶",
    "。",
    ".",
    "!",
    "?\n",
    "[1]",
    "[^7]",
    "【3】",
    "`",
    "\n",
    " ",
    "\u017f",
]
texts = st.lists(st.sampled_from(pieces), max_size=30).map(" ".join) | st.lists(st.sampled_from(pieces)).map("".join)
texts |= st.text(max_size=60)
overlaps = st.floats(0, 1)


@given(texts, st.lists(texts, max_size=3), overlaps)
def test_an_answer_copied_from_a_source_is_wholly_supported(answer: str, others: list[str], overlap: float) -> None:
    assert grounding(answer, [*others, answer], overlap).share == 1


@given(texts, st.lists(texts, max_size=3), overlaps)
def test_a_share_is_a_share_and_agrees_with_what_is_unsupported(
    answer: str, sources: list[str], overlap: float
) -> None:
    got = grounding(answer, sources, overlap)
    assert 0 <= got.share <= 1
    assert (got.share == 1) is (not got.unsupported)
    assert set(got.unsupported) <= set(sentences(answer))


@given(texts, st.lists(texts, max_size=3), texts, overlaps)
def test_another_source_never_makes_an_answer_less_grounded(
    answer: str, sources: list[str], more: str, overlap: float
) -> None:
    before, after = grounding(answer, sources, overlap), grounding(answer, [*sources, more], overlap)
    assert after.share >= before.share
    assert set(after.unsupported) <= set(before.unsupported)
    assert set(after.missing_citations) <= set(before.missing_citations)


@given(texts)
def test_sentences_are_in_order_and_leave_out_white_space_only(text: str) -> None:
    spans = list(sentences(text))
    assert "".join("".join(text[start:end].split()) for start, end in spans) == "".join(text.split())
    assert spans == sorted(spans)
    assert all(start < end for start, end in spans)
