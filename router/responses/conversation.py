"""The conversation that a request goes on from: its body with the earlier turns in its input. Pure.

The inputs and outputs of all turns come first, in their order and as they were, then the request's own input. So a
replica gets the same beginning each time, which its prefix cache knows. Instructions are not carried over.

Source: https://platform.openai.com/docs/api-reference/responses/create, `previous_response_id` and `instructions`.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from patchbay.core.errors import ConversationTooLong, InvalidRequest, PreviousResponseNotFound
from patchbay.core.json_body import decoded, decoded_by, encoded
from patchbay.registry.responses import ConversationEnd, ConversationTurn

_PARAM = "previous_response_id"
_PARTS = msgspec.json.Decoder(list[msgspec.Raw])


class _Asked(msgspec.Struct, frozen=True):
    input: str | list[msgspec.Raw] = ""


_ASKED = msgspec.json.Decoder(_Asked)


def check_length(end: ConversationEnd, most_turns: int, most_bytes: int) -> None:
    """Raises ConversationTooLong where nothing may go on from the conversation that ends there.

    `most_turns`: the responses in it with the new one; `most_bytes`: of its texts.
    """
    if end.turns >= most_turns:
        raise ConversationTooLong(f"it has {end.turns} responses, and may have {most_turns}")
    if end.size > most_bytes:
        raise ConversationTooLong(f"its inputs and outputs have {end.size} bytes, and may have {most_bytes}")


def check_whole(turns: Sequence[ConversationTurn], end: ConversationEnd) -> None:
    """Raises PreviousResponseNotFound where one of the conversation's `turns`, the last one first, is missing."""
    if len(turns) == end.turns:
        return
    missing = turns[-1].previous if turns else end.id
    hint = None if missing in (None, end.id) else f"The conversation of '{end.id}' goes back to it."
    raise PreviousResponseNotFound(missing or end.id, hint=hint)


def expanded(body: bytes, turns: Sequence[ConversationTurn]) -> tuple[bytes, int]:
    """Returns a request's `body` with the conversation before its input, and the number of the items put there.

    `turns`: of the conversation, the last one first. Raises InvalidRequest where `input` is no input.
    """
    fields: dict[str, Any] = decoded(body)
    fields.pop(_PARAM, None)
    earlier = [item for turn in reversed(turns) for part in (turn.input, turn.output) for item in _PARTS.decode(part)]
    fields["input"] = [*earlier, *_items_of(fields.get("input"))]
    return encoded(fields), len(earlier)


def own_items(body: bytes, earlier: int) -> bytes:
    """Returns a request's own input as a JSON list: what comes after the `earlier` items. Raises InvalidRequest."""
    asked = decoded_by(_ASKED, body).input
    return encoded(_items_of(asked) if isinstance(asked, str) else asked[earlier:])


def _items_of(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [{"type": "message", "role": "user", "content": value}]
    if isinstance(value, list):
        return value
    if value is None:
        raise InvalidRequest("You must provide an 'input' parameter.", param="input")
    raise InvalidRequest("Invalid type for 'input': expected a string or a list of items.", param="input")
