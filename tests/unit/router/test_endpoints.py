import pytest

from patchbay.core.errors import MethodNotAllowed, NotFound
from patchbay.router.http.endpoints import find_endpoint


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/chat", "/v1/chat/completions/", "/internal/status", "/metrics"])
def test_only_what_is_offered_is_found(path: str) -> None:
    with pytest.raises(NotFound):
        find_endpoint("GET", path)


@pytest.mark.parametrize("name", ["chat/completions", "completions", "responses", "embeddings", "messages"])
def test_answers_are_posted_for(name: str) -> None:
    assert find_endpoint("POST", f"/v1/{name}").forwarded
    with pytest.raises(MethodNotAllowed) as caught:
        find_endpoint("GET", f"/v1/{name}")
    assert caught.value.headers() == {"allow": "POST"}


def test_a_models_name_may_hold_slashes() -> None:
    assert find_endpoint("GET", "/v1/models/org/model").name == "model"
