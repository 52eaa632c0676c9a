"""Options of a request that concern kept responses: to be kept, and what it goes on from. Pure."""

from dataclasses import dataclass
from typing import Any

import msgspec

from patchbay.core.errors import InvalidRequest, UnsupportedParameter
from patchbay.core.json_body import decoded_by
from patchbay.registry.responses import ConversationEnd

_BACKGROUND = (
    "Responses in the background are not made here. Leave 'background' out, and stream the answer if it is long."
)
_CONVERSATION = "Conversations are not kept here. Use 'previous_response_id', or send the earlier turns in 'input'."


class _Fields(msgspec.Struct, frozen=True, kw_only=True):
    store: Any = None
    previous_response_id: Any = None
    background: Any = None
    conversation: Any = None


_FIELDS = msgspec.json.Decoder(_Fields)


@dataclass(frozen=True, slots=True)
class ResponseOptions:
    """Wish of a client. `store`: whether to keep the response, None where the client does not say, which means yes;
    `previous`: the id of the response that it goes on from, None for none."""

    store: bool | None = None
    previous: str | None = None


def read_options(body: bytes) -> ResponseOptions:
    """Reads the wish in a request's JSON body. Raises InvalidRequest, also for what cannot be done here at all."""
    fields = decoded_by(_FIELDS, body)
    if fields.background not in (None, False):
        raise UnsupportedParameter(_BACKGROUND, param="background")
    if fields.conversation is not None:
        raise UnsupportedParameter(_CONVERSATION, param="conversation")
    previous = fields.previous_response_id
    if previous is not None and not isinstance(previous, str):
        raise InvalidRequest(
            "Invalid type for 'previous_response_id': expected a string.", param="previous_response_id"
        )
    # Of what is neither true nor false, the engine says what it is; it is no wish to be kept.
    store = fields.store if fields.store is None else fields.store is True
    return ResponseOptions(store, previous)


@dataclass(frozen=True, slots=True)
class AskedResponse:
    """A request for a response, once it was read. `previous`: the end of the conversation that it goes on from;
    `earlier`: how many items of its input are from that."""

    options: ResponseOptions
    previous: ConversationEnd | None = None
    earlier: int = 0
