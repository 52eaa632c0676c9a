"""Pages of a kept response's input, item by item, as OpenAI's clients read them. Pure.

Source: https://platform.openai.com/docs/api-reference/responses/input-items.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import msgspec

from patchbay.core.errors import InvalidRequest
from patchbay.registry.responses import KeptResponse

_DEFAULT, _MOST = 20, 100


@dataclass(frozen=True, slots=True)
class Paging:
    """Paging of a list, as a client asks for it. `after`: the id of the item before the page; `newest_first`: the
    order."""

    limit: int = _DEFAULT
    newest_first: bool = True
    after: str | None = None


def read_paging(query: bytes) -> Paging:
    """Reads a request's query. Raises InvalidRequest."""
    fields = {name: values[-1] for name, values in parse_qs(query.decode("latin-1")).items()}
    limit, order = fields.get("limit", str(_DEFAULT)), fields.get("order", "desc")
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:4]) <= _MOST and len(limit) < 4):
        raise InvalidRequest(f"Invalid 'limit': expected a whole number from 1 to {_MOST}.", param="limit")
    if order not in ("asc", "desc"):
        raise InvalidRequest("Invalid 'order': expected 'asc' or 'desc'.", param="order")
    return Paging(int(limit), order == "desc", fields.get("after"))


def items_page(kept: KeptResponse, paging: Paging) -> bytes:
    """Returns a page of the response's own input: not of what it went on from. Raises InvalidRequest."""
    items = [_shown(item, kept.id, place) for place, item in enumerate(msgspec.json.decode(kept.input))]
    if paging.newest_first:
        items.reverse()
    if paging.after is not None:
        items = items[_place_of(paging.after, items) + 1 :]
    page = items[: paging.limit]
    ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {"first_id": None, "last_id": None}
    return msgspec.json.encode({"object": "list", "data": page, **ends, "has_more": len(items) > len(page)})


def _place_of(name: str, items: list[dict[str, Any]]) -> int:
    place = next((place for place, item in enumerate(items) if item["id"] == name), None)
    if place is None:
        raise InvalidRequest("There is no item with the id in 'after'.", param="after")
    return place


def _shown(item: Any, response: str, place: int) -> dict[str, Any]:
    """Returns an item in full: with an id, which is always the same, and a message's text as a part."""
    fields = dict(item) if isinstance(item, dict) else {"type": "message", "role": "user", "content": str(item)}
    if "role" in fields and isinstance(fields.get("content"), str):
        kind = "output_text" if fields["role"] == "assistant" else "input_text"
        part = {"type": kind, "text": fields["content"]}
        fields["content"] = [{**part, "annotations": []} if kind == "output_text" else part]
    if "role" in fields:
        fields = {"type": "message", "status": "completed", **fields}
    if not isinstance(fields.get("id"), str):
        fields["id"] = f"{_prefix(fields)}_{response.removeprefix('resp_')}_{place}"
    return fields


def _prefix(fields: dict[str, Any]) -> str:
    return "msg" if fields.get("type") == "message" else "item"
