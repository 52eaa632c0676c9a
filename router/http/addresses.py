"""Addresses of requests: the forms in which clients write the path of an endpoint, and the one that it is known by.

Clients join a base URL and a path by hand, and get a slash or a `/v1` twice. Azure's clients name the model in the path
(https://learn.microsoft.com/azure/ai-services/openai/reference).
"""

import re
from dataclasses import dataclass

from patchbay.core.json_body import with_model
from patchbay.router.http.body_elements import check_elements
from patchbay.router.http.endpoints import is_known
from patchbay.router.http.request import Request

_SLASHES = re.compile(r"/{2,}")
_DEPLOYMENT = re.compile(r"/openai/deployments/(?P<model>[^/]+)(?P<rest>/.*)")
# Parts of a model's name behind its first one, which the hub's names have one of.
_MOST_PARTS = 4
_AZURE = "/openai/"
_VERSION = "/v1/"


@dataclass(frozen=True, slots=True)
class Address:
    """Address of a request. `path`: as `find_endpoint` knows it; `model`: that the address names, None where it does
    not: it is meant then, whatever the body says; `azure`: whether it is in Azure's form, whose query is not for
    replicas."""

    path: str
    model: str | None = None
    azure: bool = False


def read_address(path: str) -> Address:
    """Reads the address that a request's `path`, decoded and without its query, stands for."""
    path = _SLASHES.sub("/", path)
    path = path.rstrip("/") or "/"
    match = _DEPLOYMENT.fullmatch(path)
    if match is not None:
        model, rest = _deployment(match["model"], match["rest"])
        return Address(_versioned(rest), model, azure=True)
    if path.startswith(_AZURE):
        return Address(_versioned("/" + path[len(_AZURE) :]), azure=True)
    return Address(_versioned(path) if path.startswith(_VERSION) else path)


def _deployment(model: str, rest: str) -> tuple[str, str]:
    """Returns a deployment's name and the path behind it. Names of models may have slashes of their own: it is the
    shortest name behind which the path of an endpoint is."""
    parts = rest[1:].split("/")
    for count in range(min(len(parts), _MOST_PARTS)):
        path = "/" + "/".join(parts[count:])
        if is_known(_versioned(path)):
            return "/".join((model, *parts[:count])), path
    return model, rest


def take_address(request: Request) -> None:
    """Puts the address that `request` has into the form that endpoints are known by."""
    if is_known(request.path):
        return
    address = read_address(request.path)
    request.path, request.model = address.path, address.model
    if address.azure and is_known(address.path):
        # What the router answers itself may be asked for by pages.
        request.query = b""


def _versioned(path: str) -> str:
    """Returns `path` with exactly one `/v1` at its beginning."""
    while path.startswith(_VERSION):
        path = path[len(_VERSION) - 1 :]
    return f"/v1{path}"


def with_addressed_model(body: bytes, model: str, most_elements: int) -> bytes:
    """Returns `body` with `model`, which its address names, in place of any that it names itself.

    Raises InvalidRequest, and TooManyElements where its JSON has more than `most_elements`.
    """
    check_elements(body, most_elements)
    return with_model(body, model)
