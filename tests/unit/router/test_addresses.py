"""Addresses in the forms that clients write them in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbay.core.errors import RequestError
from patchbay.router.http.addresses import Address, read_address, take_address, with_addressed_model
from patchbay.router.http.body_budget import BodyBudget
from patchbay.router.http.endpoints import find_endpoint
from patchbay.router.http.request import Request

CHAT = "/v1/chat/completions"


@pytest.mark.parametrize(
    "path",
    [CHAT, "//v1/chat/completions", "/v1//chat///completions", f"{CHAT}/", f"{CHAT}//", f"/v1{CHAT}", f"/v1/v1{CHAT}/"],
)
def test_a_slash_or_a_version_too_many_does_not_lose_the_endpoint(path: str) -> None:
    assert read_address(path) == Address(CHAT)


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/openai/deployments/sql/chat/completions", "sql"),
        ("/openai/deployments/sql@3/chat/completions/", "sql@3"),
        ("/openai/deployments/org/m/chat/completions", "org/m"),
        ("/openai/deployments/a/b/c/v1/chat/completions", "a/b/c"),
        ("//openai/deployments/sql//chat/completions", "sql"),
        ("/openai/deployments/sql/v1/chat/completions", "sql"),
        ("/openai/v1/chat/completions", None),
        ("/openai/chat/completions", None),
    ],
)
def test_azures_form_names_the_endpoint_and_the_model(path: str, model: str | None) -> None:
    assert read_address(path) == Address(CHAT, model, azure=True)


@pytest.mark.parametrize(
    "path", ["/healthz", "/v1", "/v2/chat/completions", "/v1beta/x", "/openai", "/openai/deployments/sql"]
)
def test_what_is_no_endpoint_is_not_made_one(path: str) -> None:
    address = read_address(path)
    assert address.model is None
    if path != "/healthz":
        with pytest.raises(Exception, match="Invalid URL"):
            find_endpoint("POST", address.path)


def test_a_models_name_keeps_its_slashes_but_the_doubled_ones() -> None:
    assert read_address("/v1/models/org/model").path == "/v1/models/org/model"


@given(st.text("/v1openaideployments.x", max_size=40))
def test_an_address_that_was_read_is_read_the_same_again(path: str) -> None:
    once = read_address(path)
    again = read_address(once.path)
    assert again.path == once.path or once.path.startswith("/v1/openai")


def test_the_model_in_the_address_is_meant_whatever_the_body_says() -> None:
    assert with_addressed_model(b'{"model":"gpt-4","n":1}', "sql", 100) == b'{"model":"sql","n":1}'
    assert with_addressed_model(b'{"model":"a","model":"b"}', "sql", 100) == b'{"model":"sql"}'
    assert with_addressed_model(b"{}", "sql", 100) == b'{"model":"sql"}'


@pytest.mark.parametrize("body", [b"[]", b"", b"{", b'{"a":[1,2,3,4,5,6,7,8,9,10,11,12]}'])
def test_a_body_that_is_no_request_is_refused_with_an_address_as_without(body: bytes) -> None:
    with pytest.raises(RequestError):
        with_addressed_model(body, "sql", 10)


@pytest.mark.parametrize(
    ("path", "query"),
    [("/openai/v1/responses/resp_1/input_items", b"after=item_2"), ("/openai/v1/responses", b"")],
)
def test_pages_can_be_asked_for_in_azures_form_and_replicas_get_nothing_of_its_query(path: str, query: bytes) -> None:
    request = Request(1000, lambda data: None, BodyBudget(1000))
    request.set_url(path.encode() + b"?after=item_2")
    take_address(request)
    assert (request.path, request.query) == (path.removeprefix("/openai"), query)
