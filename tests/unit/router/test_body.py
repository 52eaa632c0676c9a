import pytest

from patchbay.core.errors import InvalidRequest
from patchbay.router.http.body import parse_head


def test_model_and_stream_are_read_and_the_rest_is_left_alone() -> None:
    head = parse_head(b'{"messages": [{"x": 1}], "model": "sql", "stream": true}')
    assert (head.model, head.stream) == ("sql", True)
    assert bytes(head.beginning.text) == b'[{"x": 1}]'


@pytest.mark.parametrize("body", [b'{"model":"a"}', b'{"model":"a","stream":null}', b' \n{"model":"a"}\t'])
def test_stream_may_be_left_out_or_null(body: bytes) -> None:
    assert not parse_head(body).stream


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"model": "a"} x',
        b'{"model": "a", "temperature": NaN}',
        b"\xef\xbb\xbf{}",
        b'{"model": "\xff"}',
        b'{"model": "\\ud800"}',
        b'{"model": "a", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_what_is_no_json_is_the_clients_error(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_head(body)
    assert caught.value.param is None


@pytest.mark.parametrize("body", [b"[]", b"null", b'"model"', b"7"])
def test_json_that_is_no_object_is_refused_as_such(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match="must be a JSON object"):
        parse_head(body)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{}", "model"),
        (b'{"model": null}', "model"),
        (b'{"model": ["a"]}', "model"),
        (b'{"model": "a", "stream": "yes"}', "stream"),
        (b'{"model": "a", "stream": 1}', "stream"),
    ],
)
def test_a_wrong_field_is_named(body: bytes, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_head(body)
    assert caught.value.param == param
