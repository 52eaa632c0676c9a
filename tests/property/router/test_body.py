import contextlib
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from patchbay.core.errors import InvalidRequest
from patchbay.router.http.body import parse_head

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
documents = st.dictionaries(st.sampled_from(["model", "stream", "messages"]) | text, values, max_size=6)


@given(documents, st.booleans())
def test_it_reads_what_any_other_json_reader_reads(document: dict[str, Any], escape: bool) -> None:
    body = json.dumps(document, ensure_ascii=escape).encode()
    model, stream = document.get("model"), document.get("stream")
    fits = isinstance(model, str) and (stream is None or isinstance(stream, bool))
    try:
        head = parse_head(body)
    except InvalidRequest:
        assert not fits
    else:
        assert fits
        assert (head.model, head.stream) == (model, stream)


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail_in_any_other_way(body: bytes) -> None:
    with contextlib.suppress(InvalidRequest):
        parse_head(body)


@given(st.text(max_size=10), st.text(max_size=10))
def test_of_two_models_the_last_counts_as_it_does_for_the_replica(first: str, second: str) -> None:
    body = f'{{"model": {json.dumps(first)}, "model": {json.dumps(second)}}}'.encode()
    try:
        assert parse_head(body).model == json.loads(body)["model"]
    except InvalidRequest:
        assert any("\ud800" <= character <= "\udfff" for character in first + second)
