import time

import pytest

from patchbay.guards.grounding import grounding, sentences

TEA = "Tea is made from the leaves of Camellia sinensis. Green tea is not oxidized, black tea is. It holds 3.5 mg."
BREAD = "Bread is baked from flour, water and yeast. The oven has 230.5 degrees."


def split(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("It holds 3.5 mg. That is 1,200.75 in all.", ["It holds 3.5 mg.", "That is 1,200.75 in all."]),
        (
            "Dr. Smith met Mrs. Jones, e.g. at noon. They spoke.",
            ["Dr. Smith met Mrs. Jones, e.g. at noon.", "They spoke."],
        ),
        ("J. R. R. Tolkien wrote it. So did I. Yes.", ["J. R. R. Tolkien wrote it.", "So did I.", "Yes."]),
        (
            "Das gilt z.B. hier, vgl. Abs. 3 und d.h. dort. Ende.",
            ["Das gilt z.B. hier, vgl. Abs. 3 und d.h. dort.", "Ende."],
        ),
        ("1. First thing\n2. Second thing\n\n- a third", ["1. First thing", "2. Second thing", "- a third"]),
        ("It was in 1990. Then came 1991.", ["It was in 1990.", "Then came 1991."]),
        ('He said "no." She left... Really?!', ['He said "no."', "She left...", "Really?!"]),
        ("See example.com/a.b for v1.2.3 of it.", ["See example.com/a.b for v1.2.3 of it."]),
        ("这是茶。那是面包！是吗？", ["这是茶。", "那是面包！", "是吗？"]),  # noqa: RUF001
        ("No. It is not.", ["No.", "It is not."]),
        ("It is so.[3] And so.[^4]【5】 Yes.", ["It is so.[3]", "And so.[^4]【5】", "Yes."]),
        ("\n \r\n", []),
        ("...", ["..."]),
    ],
)
def test_sentences_end_where_they_end_and_not_within_numbers_or_abbreviations(text: str, parts: list[str]) -> None:
    assert split(text) == parts


def test_a_sentence_that_no_source_has_is_shown_where_it_is() -> None:
    answer = "Tea is made from leaves of Camellia sinensis. Coffee was invented on Mars by robots."
    got = grounding(answer, [TEA, BREAD])
    assert got.share == 0.5
    assert [answer[start:end] for start, end in got.unsupported] == ["Coffee was invented on Mars by robots."]


def test_other_words_around_the_same_facts_are_support() -> None:
    assert grounding("So the tea's made from Camellia sinensis leaves, see [1].", [TEA]).share == 1


def test_a_sentence_patched_together_from_many_sources_is_not_supported_by_any() -> None:
    assert grounding("Yeast oxidized Camellia flour.", [TEA, BREAD]).share == 0
    assert grounding("Yeast oxidized Camellia flour.", [TEA, BREAD], overlap=0.5).share == 1


def test_a_wrong_figure_counts_as_a_word_of_its_own() -> None:
    assert grounding("230.5 degrees.", [BREAD], overlap=1).share == 1
    assert grounding("235.0 degrees.", [BREAD], overlap=1).share == 0


def test_case_accents_and_apostrophes_make_no_difference() -> None:
    assert grounding("LE CAFÉ D\u2019ÉTÉ FERME", ["le cafe d'ete ferme"], overlap=1).share == 1
    assert grounding("The tea\u2019s leaves", ["leaves of tea"], overlap=1).share == 1


def test_chinese_is_compared_by_its_characters() -> None:
    assert grounding("茶由茶树的叶子制成。", ["茶是由茶树的叶子制成的。"]).share == 1
    assert grounding("咖啡来自火星。", ["茶是由茶树的叶子制成的。"]).share == 0


@pytest.mark.parametrize("answer", ["", "  \n", "It is.", "---\n***", "[1]", "So it was, and so it is."])
def test_nothing_said_is_nothing_unsupported(answer: str) -> None:
    assert grounding(answer, ["x"]).share == 1
    assert grounding(answer, ["x"]).unsupported == ()


def test_without_sources_what_is_said_is_unsupported_and_every_citation_misses() -> None:
    got = grounding("Tea is old [1].", [])
    assert (got.share, got.missing_citations) == (0, ("[1]",))


def test_citations_that_point_to_no_source_are_told_once_each_in_order() -> None:
    answer = "Tea [1][3], [^2] and [^9]; 【1】【4】【5:0†notes.pdf】【2†x】 again [3], and [0].\n[^9]: see there"
    assert grounding(answer, [TEA, BREAD]).missing_citations == ("[3]", "[^9]", "【4】", "【5:0†notes.pdf】", "[0]")


def test_what_is_in_code_or_is_a_year_is_no_citation() -> None:
    answer = "Use `row[7]` or\n```py\nx[8]\n```\nas in [2024], [see], [12a] and\n```\ny[9]"
    assert grounding(answer, [TEA]).missing_citations == ()


@pytest.mark.parametrize("overlap", [-0.1, 1.1, float("nan")])
def test_an_overlap_that_is_no_share_is_refused(overlap: float) -> None:
    with pytest.raises(ValueError, match="overlap"):
        grounding("x", ["x"], overlap)


def test_a_sentence_at_exactly_the_overlap_is_supported() -> None:
    assert grounding("alpha beta gamma delta epsilon", ["alpha beta gamma"], 0.6).share == 1
    assert grounding("alpha beta gamma delta epsilon", ["alpha beta"], 0.6).share == 0


@pytest.mark.parametrize("unit", ["a. ", ".", "a.", "`", "[1", "【1†", "*", ".*", "```", "a.b.", "1,", "e.g. "])
def test_no_text_costs_more_than_linear_time(unit: str) -> None:
    started = time.process_time()
    grounding(unit * (200_000 // len(unit)), [TEA])
    assert time.process_time() - started < 3


FACTS = (
    "Green tea is not oxidized, black tea is. It holds 3.5 mg of caffeine. The offer is valid until 12 May 2024 for 1,200 "
    "customers. Der Vertrag endet nicht im Juni. Le musée ferme à 18 heures."
)


@pytest.mark.parametrize(
    ("true", "false"),
    [
        ("Green tea is not oxidized.", "Green tea is oxidized."),
        ("Green tea isn't oxidized.", "Green tea is oxidized."),
        ("Green tea isn\u2019t oxidized.", "Green tea is oxidized."),
        ("It holds 3.5 mg of caffeine.", "It holds 4.5 mg of caffeine."),
        ("It holds 3,5 mg of caffeine.", "It holds no 3.5 mg of caffeine."),
        ("The offer is valid until 12 May 2024.", "The offer is valid until 13 May 2024."),
        ("The offer is valid for 1200 customers.", "The offer is valid for 12000 customers."),
        ("The offer is valid until twelve May 2024.", "The offer is valid until eleven May 2024."),
        ("The offer is valid until 12 May 2024.", "The offer was never valid until 12 May 2024."),
        ("Der Vertrag endet nicht im Juni.", "Der Vertrag endet im Juni."),
        ("Le musée ferme à 18 heures.", "Le musée ne ferme pas à 18 heures."),
        ("1. Green tea is not oxidized.", "1. Green tea is oxidized."),
    ],
)
def test_a_changed_number_and_a_negation_are_seen(true: str, false: str) -> None:
    assert grounding(true, [FACTS]).share == 1
    assert grounding(false, [FACTS]).share == 0


def test_a_negation_is_held_against_the_clause_that_says_the_same() -> None:
    source = "Tickets are refunded within a week. Vouchers are not refunded. Seats are not numbered."
    assert grounding("Tickets are refunded within a week.", [source]).share == 1
    assert grounding("Vouchers are refunded.", [source]).share == 0
    assert grounding("Seats are numbered.", [source, "In hall 2 seats are numbered."]).share == 1


def test_a_sentence_among_many_of_the_same_words_is_found_all_the_same() -> None:
    source = "".join(f"Room {number} is not free on day {number}. " for number in range(300))
    assert grounding("Room 299 is not free on day 299.", [source]).share == 1


@pytest.mark.parametrize("unit", ["a b not. ", "x, ", "1.000 ", "no; ", "n't ", "不茶。"])
def test_no_source_costs_more_than_linear_time(unit: str) -> None:
    started = time.process_time()
    grounding(unit * (100_000 // len(unit)), [unit * (100_000 // len(unit))])
    assert time.process_time() - started < 4
