import pytest

from patchbay.core.errors import MethodNotAllowed, NotFound
from patchbay.router.http.endpoints import find_endpoint, response_id


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/chat", "/v1/chat/completions/", "/internal/status", "/metrics"])
def test_only_what_is_offered_is_found(path: str) -> None:
    with pytest.raises(NotFound):
        find_endpoint("GET", path)


@pytest.mark.parametrize("name", ["chat/completions", "completions", "responses", "embeddings", "score", "messages"])
def test_answers_are_posted_for(name: str) -> None:
    assert find_endpoint("POST", f"/v1/{name}").forwarded
    with pytest.raises(MethodNotAllowed) as caught:
        find_endpoint("GET", f"/v1/{name}")
    assert caught.value.headers() == {"allow": "POST"}


def test_a_models_name_may_hold_slashes() -> None:
    assert find_endpoint("GET", "/v1/models/org/model").name == "model"


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/v1/responses/resp_1", "response"),
        ("DELETE", "/v1/responses/resp_1", "response"),
        ("GET", "/v1/responses/resp_1/input_items", "response_items"),
        ("POST", "/v1/responses/resp_1/cancel", "response_cancel"),
    ],
)
def test_a_kept_response_is_the_routers_own_to_answer_for(method: str, path: str, name: str) -> None:
    endpoint = find_endpoint(method, path)
    assert (endpoint.name, endpoint.forwarded, response_id(path)) == (name, False, "resp_1")


@pytest.mark.parametrize("path", ["/v1/responses/", "/v1/responses//input_items", "/v1/responses/resp_1/items"])
def test_what_is_below_no_response_is_not_found(path: str) -> None:
    with pytest.raises(NotFound):
        find_endpoint("GET", path)
