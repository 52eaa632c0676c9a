"""Error messages for requests to the admin port: the field, its fault, and the nearest known name. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.routing import APIRoute
from pydantic import BaseModel

from patchbay.core.errors import InvalidRequest
from patchbay.core.setting_faults import fault, own_faults

_MOST = 5


def body_model(route: object) -> type[BaseModel] | None:
    """Returns the model that the body of a request to `route` is read as, None where there is none."""
    field = route.body_field if isinstance(route, APIRoute) else None
    found = field.field_info.annotation if field is not None else None
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def refused(faults: Sequence[Mapping[str, Any]], model: type[BaseModel] | None) -> InvalidRequest:
    """Returns the error for a request in which pydantic found `faults`. Its `param` is the field of the first.

    `model`: that of the body, None where it has none.
    """
    faults = own_faults(faults)
    messages = "; ".join(_message(error, model) for error in faults[:_MOST])
    more = f"; and {len(faults) - _MOST} more" if len(faults) > _MOST else ""
    return InvalidRequest(f"{messages}{more}.", param=_param(faults[0]))


def _message(error: Mapping[str, Any], model: type[BaseModel] | None) -> str:
    where, *place = error["loc"]
    if error["type"] == "json_invalid":
        return f"The body is not valid JSON: {error.get('ctx', {}).get('error', 'it cannot be read')}"
    if not place:
        return f"The {where} is missing" if error["type"] == "missing" else f"{where}: {error['msg']}"
    return fault(model if where == "body" else None, tuple(place), error)


def _param(error: Mapping[str, Any]) -> str | None:
    if error["type"] == "json_invalid":
        return None
    return ".".join(str(part) for part in error["loc"][1:]) or None
