"""Parts of a stream that guards cannot read: none of them goes to the client."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbay.core.errors import GuardFailed
from patchbay.guards.formats.codec import Codec, StreamStopped
from patchbay.guards.formats.completions import ChoicesCodec, RequestedAnswer
from patchbay.guards.formats.messages import MessagesCodec
from patchbay.guards.formats.responses import ResponsesCodec
from patchbay.guards.formats.shut import ShutCodec
from patchbay.guards.formats.sse import DONE, MOST_EVENT_BYTES, WholeEvents, split
from patchbay.guards.prompts import visit_texts
from tests.unit.router.guards.test_answers import texts

ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
LINES = st.sampled_from([b'data: {"a": 1}', b"data:{}", b"event: x", b": comment", b"data: [DONE]"])
NAMES = ["choices", "index", "delta", "content", "tool_calls", "finish_reason", "logprobs", "type", "response", "usage"]
TYPES = ["content_block_delta", "content_block_stop", "response.output_text.delta", "response.output_text.done"]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)


def codecs() -> list[Codec]:
    return [
        ShutCodec(ChoicesCodec(texts(), lambda: (0, 0), lambda side: {}, RequestedAnswer(choices=1))),
        ShutCodec(ResponsesCodec(texts(), lambda: (0, 0))),
        ShutCodec(MessagesCodec(texts(), lambda: (0, 0))),
    ]


def cut(data: bytes, size: int) -> bytes:
    """`data` as it comes out where it is read in pieces of `size`."""
    events = WholeEvents()
    parts = [events.take(data[at : at + size]) for at in range(0, len(data), size)]
    return b"".join(parts) + events.rest()


@given(lines=st.lists(st.tuples(LINES, ENDS, ENDS), max_size=6), size=st.integers(1, 9), marked=st.booleans())
def test_where_a_stream_is_cut_and_how_its_lines_end_hides_an_event(
    lines: list[tuple[bytes, bytes, bytes]], size: int, marked: bool
) -> None:
    plain = b"".join(line + b"\n\n" for line, _, _ in lines)
    odd = b"\xef\xbb\xbf" * marked + b"".join(line + end + after for line, end, after in lines)
    if b"\r\n\n" not in odd and b"\r\n\r" not in odd and all(end + after != b"\r\n" for _, end, after in lines):
        assert cut(odd, size).replace(b"\n", b"") == plain.replace(b"\n", b"")
        assert list(split(cut(odd, size))) == list(split(plain))


def test_an_event_goes_on_in_parts_where_it_is_larger_than_a_read() -> None:
    large = b"data: " + json.dumps({"choices": [], "said": "x" * 1_000_000}).encode() + b"\n\n"
    events = WholeEvents()
    parts = [events.take(large[at : at + 65536]) for at in range(0, len(large), 65536)]
    assert parts[:-1] == [b""] * (len(parts) - 1)
    assert parts[-1] == large


def test_an_event_without_an_end_is_held_for_ever() -> None:
    events, piece = WholeEvents(), b"x" * 65536
    for _ in range(MOST_EVENT_BYTES // len(piece)):
        assert not events.take(piece)
    with pytest.raises(GuardFailed, match="larger than"):
        events.take(piece)


@pytest.mark.parametrize(
    "data",
    [
        "hi there",
        "[1]",
        '"hi"',
        '{"text": "\\ud83d"}',
        '{"text": NaN}',
        '{"text": "h',
        "[" * 200_000,
        '{"a":' * 5_000 + "1" + "}" * 5_000,
        '{"a": 1}\ndata: hi',
        "[DONE] hi",
    ],
)
def test_what_is_no_object_passes(data: str) -> None:
    for codec in codecs():
        with pytest.raises(GuardFailed):
            codec.feed(b"data: " + data.encode("utf-8", "surrogatepass") + b"\n\n")


@pytest.mark.parametrize("event", [": hi there", "event: hi there", "id: hi", "retry: 5\n: hi", "hi", "\ufeffhi: x"])
def test_what_says_nothing_to_a_client_tells_a_text(event: str) -> None:
    for codec in codecs():
        assert codec.feed(event.encode() + b"\n\n") == b":\n\n"


def test_the_end_tells_a_text() -> None:
    for codec in codecs():
        assert codec.feed(b": hi\nevent: hi\ndata:  [DONE] \n\n") == DONE


def test_a_chunk_without_choices_passes_unread() -> None:
    said = {"choices": [], "note": "to jane.doe@example.org"}
    assert b"jane" not in codecs()[0].feed(b"data: " + json.dumps(said).encode() + b"\n\n")


@given(fields=st.dictionaries(st.sampled_from(NAMES), _JSON), kind=st.sampled_from([None, *TYPES]))
def test_an_answer_of_any_shape_is_a_fault_of_the_routers(fields: dict[str, Any], kind: str | None) -> None:
    event = fields if kind is None else {**fields, "type": kind}
    for codec in codecs():
        try:
            codec.feed(b"data: " + json.dumps(event).encode() + b"\n\n")
            codec.finish()
        except (GuardFailed, StreamStopped):
            pass


@pytest.mark.parametrize(
    "content", ["data: my card", "data:text/plain,hi", [{"type": "text", "text": "data:x;base64,hi"}]]
)
def test_a_text_that_begins_like_a_file_is_not_looked_at(content: Any) -> None:
    seen: list[str] = []

    def look(text: str, role: str, escaped: bool) -> str:
        seen.append(text)
        return text

    visit_texts("chat_completions", {"messages": [{"role": "user", "content": content}]}, look)
    assert len(seen) == 1


def test_a_files_bytes_are_looked_at() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}

    def no(text: str, role: str, escaped: bool) -> str:
        raise AssertionError(text)

    visit_texts("chat_completions", {"messages": [{"role": "user", "content": [image]}]}, no)


@pytest.mark.parametrize(
    "body",
    [
        {"query": "one", "documents": ["two", {"content": [{"type": "text", "text": "three"}]}]},
        {"queries": ["one", "two"], "items": "three"},
        {"text_1": "one", "text_2": ["two"], "instruction": "three"},
        {"data_1": ["one"], "data_2": ["two", "three"]},
    ],
)
def test_texts_that_are_ranked_or_scored_are_looked_at(body: dict[str, Any]) -> None:
    seen: list[str] = []

    def look(text: str, role: str, escaped: bool) -> str:
        seen.append(text)
        return text.upper()

    visit_texts("rerank", body, look)
    assert sorted(seen) == ["one", "three", "two"]
    assert "ONE" in str(body)
