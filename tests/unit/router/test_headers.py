import pytest

from patchbay.router.http.headers import downstream_headers, request_id, upstream_headers


def sent(*headers: tuple[bytes, bytes], token: str | None = None) -> dict[str, str]:
    authorization = f"Bearer {token}".encode() if token is not None else None
    pairs = upstream_headers(list(headers), b"req-1", authorization)
    return {name.decode(): value.decode("latin-1") for name, value in pairs}


def test_the_clients_key_never_reaches_a_replica() -> None:
    headers = sent((b"authorization", b"Bearer sk-client"), (b"x-api-key", b"sk-client"), token="replica")
    assert headers["authorization"] == "Bearer replica"
    assert not any("sk-client" in value for value in headers.values())


def test_without_a_token_of_its_own_a_replica_gets_no_authorization() -> None:
    assert "authorization" not in sent((b"authorization", b"Bearer sk-client"))


@pytest.mark.parametrize(
    "name", [b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"proxy-authorization"]
)
def test_hop_by_hop_headers_stay_on_their_hop_both_ways(name: bytes) -> None:
    assert name.decode() not in sent((name, b"x"))
    assert downstream_headers([(name, b"x")]) == []


def test_what_connection_names_is_dropped_too() -> None:
    assert sent((b"connection", b"close, X-Secret"), (b"x-secret", b"1"), (b"x-kept", b"2")).get("x-secret") is None
    assert downstream_headers([(b"connection", b"X-Secret"), (b"x-secret", b"1"), (b"x-kept", b"2")]) == [
        (b"x-kept", b"2")
    ]


def test_a_client_cannot_speak_as_the_router() -> None:
    assert "x-patchbay-adapter" not in sent((b"x-patchbay-adapter", b"sql@9"))


def test_lengths_and_encodings_are_this_hops_own() -> None:
    headers = sent(
        (b"content-length", b"9"), (b"host", b"evil"), (b"expect", b"100-continue"), (b"accept-encoding", b"br")
    )
    assert headers == {"accept-encoding": "identity", "x-request-id": "req-1"}


def test_bytes_that_are_no_text_do_not_break_a_request() -> None:
    assert "x-odd" in sent((b"x-odd", b"\xff\xe9"))


@pytest.mark.parametrize("given", [b"abc-1.2_3", b"a" * 128])
def test_a_clients_sane_request_id_is_kept(given: bytes) -> None:
    assert request_id([(b"x-request-id", given)]) == given


@pytest.mark.parametrize("given", [b"", b"a" * 129, b"a b", b"a\r\nx: y", b"<script>", "é".encode()])
def test_a_request_id_that_could_do_harm_in_a_log_is_replaced(given: bytes) -> None:
    assert request_id([(b"x-request-id", given)]).startswith(b"req-")


def test_new_request_ids_differ() -> None:
    assert request_id([]) != request_id([])
