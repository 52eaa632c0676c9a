"""Faults of a request to the admin port, in words: which field, what of it, and the nearest name there is. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.routing import APIRoute
from pydantic import BaseModel

from patchbay.core.errors import InvalidRequest
from patchbay.core.settings import fault, own_faults

_MOST = 5


def body_model(route: object) -> type[BaseModel] | None:
    """What the body of a request to `route` is read as, None where it is no model."""
    field = route.body_field if isinstance(route, APIRoute) else None
    found = field.field_info.annotation if field is not None else None
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def refused(faults: Sequence[Mapping[str, Any]], model: type[BaseModel] | None) -> InvalidRequest:
    """The error for a request that pydantic found `faults` in; its `param` is the field of the first.

    `model`: what the body is read as.
    """
    faults = own_faults(faults)
    told = "; ".join(_said(one, model) for one in faults[:_MOST])
    more = f"; and {len(faults) - _MOST} more" if len(faults) > _MOST else ""
    return InvalidRequest(f"{told}{more}.", param=_param(faults[0]))


def _said(one: Mapping[str, Any], model: type[BaseModel] | None) -> str:
    where, *place = one["loc"]
    if one["type"] == "json_invalid":
        return f"The body is no JSON: {one.get('ctx', {}).get('error', 'it cannot be read')}"
    if not place:
        return f"The {where} is missing" if one["type"] == "missing" else f"{where}: {one['msg']}"
    return fault(model if where == "body" else None, tuple(place), one)


def _param(one: Mapping[str, Any]) -> str | None:
    if one["type"] == "json_invalid":
        return None
    return ".".join(str(part) for part in one["loc"][1:]) or None
