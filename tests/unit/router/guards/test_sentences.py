"""Ends of sentences, by example."""

import pytest

from patchbay.guards.entities.sentences import sentence_end


def sentences(text: str) -> list[str]:
    parts, start = list[str](), 0
    while (end := sentence_end(text, start, len(text))) is not None:
        parts.append(text[start:end])
        start = end
    return [*parts, text[start:]]


@pytest.mark.parametrize(
    "parts",
    [
        ["He came. ", "She left! ", "Why?"],
        ['He said "no." ', "She left."],
        ["Dr. Ada Lovelace met J. R. Tolkien on 3. May. ", "They spoke."],
        ["Am 12. Mai kam Hr. M\u00fcller, z. B. mit dem Zug. ", "Dann ging er."],
        ["Born in 1980. ", "He moved."],
        ["It costs 3.50 at example.com today"],
        ["\u4ed6\u6765\u4e86\u3002", "\u5979\u8d70\u4e86\uff01", "\u4e3a\u4ec0\u4e48\uff1f"],
        ["\u300c\u4ed6\u6765\u4e86\u3002\u300d", "\u5979\u8d70\u4e86\u3002"],
        ["A heading\n", "\nA line that\ngoes on"],
        ["Two points:\n", "- one\n", "- two"],
        ["Ada Lovelace\n12 Main Street\n12345 Springfield"],
        ["\U0001f600J. R. Tolkien"],
    ],
)
def test_a_text_is_divided_at_the_ends_of_its_sentences(parts: list[str]) -> None:
    assert sentences("".join(parts)) == parts


def test_no_end_is_told_before_the_character_that_tells_it() -> None:
    assert sentence_end("He came.", 0, 8) is None
    assert sentence_end("He came. ", 0, 9) == 9
    assert sentence_end("\u6765\u4e86\u3002", 0, 3) is None
    assert sentence_end("\u6765\u4e86\u3002\u5979", 0, 4) == 3
