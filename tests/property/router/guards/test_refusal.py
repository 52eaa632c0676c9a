import json

from hypothesis import given
from hypothesis import strategies as st

from patchbay.guards.refusal import HEAD, is_refusal, refusal_kind

refusals = st.sampled_from(
    [
        "I'm sorry, but I can't help with that.",
        "I don't have access to the internet.",
        "I can't help with weapons.",
        "Ich kann Ihnen dabei nicht helfen.",
        "Je n'ai pas acc\u00e8s \u00e0 Internet.",
        "No puedo ayudarte con eso.",
    ]
)
words = st.lists(
    st.sampled_from(
        ["I", "can't", "not", "help", "as an AI", "but", "sorry,", '"', "'", "`", "> ", "\n", ".", "ich kann", "no"]
    )
)


@given(st.text(max_size=400) | words.map(" ".join))
def test_no_text_makes_it_fall_over_and_only_its_beginning_counts(text: str) -> None:
    assert is_refusal(text) is (refusal_kind(text) is not None)
    if text.lstrip()[:1] not in ("{", "[", "`", "<") and "</" not in text:
        assert refusal_kind(text[:HEAD]) == refusal_kind(text)


@given(st.text(alphabet="abc <>\n", max_size=50), refusals, st.sampled_from(["think", "thinking", "reasoning"]))
def test_what_a_model_thinks_is_no_part_of_its_answer(thought: str, text: str, tag: str) -> None:
    assert refusal_kind(f"<{tag}>{thought}</{tag}>\n{text}") == refusal_kind(text)
    assert refusal_kind(f"<{tag}>{text}</{tag}>\nHere you are.") is None
    assert refusal_kind(f"<{tag}>{text}") is None


@given(refusals, st.sampled_from(["[{}]", '{{"answer": {}}}', '{{"a": {{"b": [{}, 1]}}}}', "```json\n[{}]\n```"]))
def test_json_says_what_its_texts_say(text: str, form: str) -> None:
    assert refusal_kind(form.format(json.dumps(text))) == refusal_kind(text)


@given(
    refusals,
    st.sampled_from(["", "  ", "\n", "**", "Thank you for asking! "]),
    st.sampled_from(["", " Is there more?"]),
)
def test_a_refusal_is_one_whatever_is_around_it_and_however_it_is_written(text: str, before: str, after: str) -> None:
    kind = refusal_kind(text)
    assert kind is not None
    assert refusal_kind(before + text + after) == kind
    assert refusal_kind(before + text.upper() + after) == kind
    assert refusal_kind(before + text.replace("'", "\u2019") + after) == kind


@given(
    refusals,
    st.sampled_from(['"%s"', "\u201c%s\u201d", "\u201e%s\u201c", "\u00ab%s\u00bb", "`%s`", "'%s'", "\n> %s\n"]),
)
def test_what_is_only_quoted_is_no_refusal(text: str, quotes: str) -> None:
    assert not is_refusal(f"The log says {quotes % text} and goes on.")
