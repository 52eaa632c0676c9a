"""Endpoints of the public port, by method and path. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from patchbay.core.errors import MethodNotAllowed, NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
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
HEALTH = Endpoint(name="healthz", methods=_READ)
# vLLM's own is the second: clients that were made for it ask there whether a server is up.
HEALTH_PATHS = frozenset({"/healthz", "/health"})
MODELS = Endpoint(name="models", methods=_READ)
MODEL = Endpoint(name="model", methods=_READ)
FEEDBACK = Endpoint(name="feedback", methods=("POST",))
ROOT = Endpoint(name="root", methods=_READ)
OPENAPI = Endpoint(name="openapi", methods=_READ)
RESPONSES = Endpoint(name="responses", methods=("POST",), forwarded=True)
RESPONSE = Endpoint(name="response", methods=(*_READ, "DELETE"))
RESPONSE_ITEMS = Endpoint(name="response_items", methods=_READ)
RESPONSE_CANCEL = Endpoint(name="response_cancel", methods=("POST",))
OTHER = Endpoint(name="other", methods=())

_FIXED: Mapping[str, Endpoint] = MappingProxyType(
    {
        "/": ROOT,
        "/openapi.json": OPENAPI,
        **dict.fromkeys(HEALTH_PATHS, HEALTH),
        "/v1/models": MODELS,
        "/v1/chat/completions": Endpoint(
            name="chat_completions", methods=("POST",), forwarded=True, ends_with_done=True
        ),
        "/v1/completions": Endpoint(name="completions", methods=("POST",), forwarded=True, ends_with_done=True),
        "/v1/responses": RESPONSES,
        "/v1/embeddings": Endpoint(name="embeddings", methods=("POST",), forwarded=True),
        "/v1/score": Endpoint(name="score", methods=("POST",), forwarded=True),
        "/v1/rerank": Endpoint(name="rerank", methods=("POST",), forwarded=True),
        "/v2/rerank": Endpoint(name="rerank", methods=("POST",), forwarded=True),
        "/v1/messages": Endpoint(name="messages", methods=("POST",), forwarded=True),
        "/v1/messages/count_tokens": Endpoint(name="count_tokens", methods=("POST",), forwarded=True),
        "/v1/feedback": FEEDBACK,
        "/tokenize": Endpoint(name="tokenize", methods=("POST",), forwarded=True, switched=True),
        "/detokenize": Endpoint(name="detokenize", methods=("POST",), forwarded=True, switched=True),
    }
)

_OF_RESPONSE: Mapping[str, Endpoint] = MappingProxyType(
    {"": RESPONSE, "input_items": RESPONSE_ITEMS, "cancel": RESPONSE_CANCEL}
)


FORWARDED_PATHS = frozenset(path for path, endpoint in _FIXED.items() if endpoint.forwarded)
# What anybody may see: it tells nothing of this installation but whether it is well.
OPEN_PATHS = frozenset({"/", "/openapi.json", *HEALTH_PATHS})


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
