"""The search for the few of many texts in which something matches, beside a look at each by itself."""

from hypothesis import given
from hypothesis import strategies as st

from patchbay.guards.config import GuardsConfig
from patchbay.guards.pipeline import compile_guards
from patchbay.guards.scan.short_texts import suspects
from patchbay.guards.stream.channel import Channel

GUARDS = compile_guards(
    GuardsConfig.model_validate(
        {
            "guards": {
                "pii": {"kind": "rules", "sets": ["pii"], "action": "redact"},
                "own": {"kind": "rules", "patterns": {"any": "a[^x]{0,40}b"}, "words": ["denied", "no way"]},
            },
            "guard_all": ["pii", "own"],
        }
    ),
    [()],
    None,
    None,
)
PIPELINE = GUARDS.pipeline((), "")
PARTS = ["jane@", "example.org", "4111 1111", " 1111 1111", "denied", "no", "way", " ", "a", "b", "x", "\n", "1.2.3.4"]
TEXTS = st.lists(st.sampled_from(PARTS), max_size=5).map("".join) | st.text(max_size=9)


@given(texts=st.sets(TEXTS, max_size=20))
def test_a_text_in_which_something_is_found_is_none_of_the_suspects(texts: set[str]) -> None:
    assert PIPELINE is not None
    pipeline = PIPELINE

    def is_found(text: str) -> bool:
        channel = Channel(pipeline.watches("input", None, escaped=False), lambda span: "")
        return bool(channel.feed(text).spans or channel.finish().spans)

    found = suspects(texts, lambda text: pipeline.may_match("input", text))
    assert {text for text in texts if is_found(text)} <= found
    assert found <= {text for text in texts if pipeline.may_match("input", text)}


def test_hundreds_of_clean_texts_are_looked_at_one_by_one() -> None:
    looks: list[str] = []

    def look(text: str) -> bool:
        looks.append(text)
        return "bad" in text

    texts = {f"text {number}" for number in range(1000)} | {"a bad one"}
    assert suspects(texts, look) == {"a bad one"}
    assert len(looks) < 40
