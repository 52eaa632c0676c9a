"""Endpoints of the public port, by method and path. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from patchbay.core.errors import MethodNotAllowed, NotFound


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Endpoint of the public port. `name`: its metric label; `methods`: allowed HTTP methods; `forwarded`: whether
    replicas answer it, rather than the router itself; `ends_with_done`: whether its event streams end with
    `data: [DONE]`; `switched`: whether it exists only where the configuration says so."""

    name: str
    methods: tuple[str, ...]
    forwarded: bool = False
    ends_with_done: bool = False
    switched: bool = False


_READ = ("GET", "HEAD")
MODEL_PREFIX = "/v1/models/"
_RESPONSE_PREFIX = "/v1/responses/"
HEALTH = Endpoint("healthz", _READ)
MODELS = Endpoint("models", _READ)
MODEL = Endpoint("model", _READ)
FEEDBACK = Endpoint("feedback", ("POST",))
RESPONSES = Endpoint("responses", ("POST",), forwarded=True)
RESPONSE = Endpoint("response", (*_READ, "DELETE"))
RESPONSE_ITEMS = Endpoint("response_items", _READ)
RESPONSE_CANCEL = Endpoint("response_cancel", ("POST",))
OTHER = Endpoint("other", ())

_FIXED: Mapping[str, Endpoint] = MappingProxyType(
    {
        "/healthz": HEALTH,
        "/v1/models": MODELS,
        "/v1/chat/completions": Endpoint("chat_completions", ("POST",), forwarded=True, ends_with_done=True),
        "/v1/completions": Endpoint("completions", ("POST",), forwarded=True, ends_with_done=True),
        "/v1/responses": RESPONSES,
        "/v1/embeddings": Endpoint("embeddings", ("POST",), forwarded=True),
        "/v1/messages": Endpoint("messages", ("POST",), forwarded=True),
        "/v1/messages/count_tokens": Endpoint("count_tokens", ("POST",), forwarded=True),
        "/v1/feedback": FEEDBACK,
        "/tokenize": Endpoint("tokenize", ("POST",), forwarded=True, switched=True),
        "/detokenize": Endpoint("detokenize", ("POST",), forwarded=True, switched=True),
    }
)

_OF_RESPONSE: Mapping[str, Endpoint] = MappingProxyType(
    {"": RESPONSE, "input_items": RESPONSE_ITEMS, "cancel": RESPONSE_CANCEL}
)


def is_known(path: str) -> bool:
    """Whether `path` is that of an endpoint, letter for letter."""
    return path in _FIXED


def response_id(path: str) -> str:
    """Returns the id in the path of a response, or of what is below one."""
    return path[len(_RESPONSE_PREFIX) :].partition("/")[0]


def find_endpoint(method: str, path: str, *, switched: bool = False) -> Endpoint:
    """Finds the endpoint at `path`. `switched`: whether the endpoints with a switch exist.

    Raises NotFound, or MethodNotAllowed with the methods that are allowed.
    """
    endpoint = _FIXED.get(path) or _below(path)
    if endpoint is None or (endpoint.switched and not switched):
        raise NotFound(f"Invalid URL ({method} {path[:200]}).")
    if method not in endpoint.methods:
        allow = ", ".join(endpoint.methods)
        raise MethodNotAllowed(f"Not allowed to {method} on {path[:200]} (allowed: {allow}).", allow=allow)
    return endpoint


def _below(path: str) -> Endpoint | None:
    """Finds the endpoint at a path with a name in it."""
    if path.startswith(MODEL_PREFIX):
        return MODEL
    if not path.startswith(_RESPONSE_PREFIX):
        return None
    name, _, what = path[len(_RESPONSE_PREFIX) :].partition("/")
    return _OF_RESPONSE.get(what) if name else None
