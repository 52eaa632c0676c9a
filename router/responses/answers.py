"""Answers to requests for a response: what is kept of one, and what is said in it about that. Pure.

All JSON that is not looked at stays as it was, byte for byte.
"""

import re
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from patchbay.core.json_body import UNREADABLE
from patchbay.registry.responses import ConversationEnd, KeptResponse, ResponseDraft
from patchbay.router.responses.conversation import own_items

# Why an answer is not kept: it is cut or failed, cannot be read, or is too large.
Unfit = Literal["not_whole", "unreadable", "too_large"]
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_TRUE, _FALSE = msgspec.Raw(b"true"), msgspec.Raw(b"false")
_NO_OUTPUT = msgspec.Raw(b"[]")


class _Incomplete(msgspec.Struct, frozen=True):
    reason: str | None = None


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    output: list[msgspec.Raw]
    status: str = "completed"
    model: str = ""
    incomplete_details: _Incomplete | None = None
    error: Any = None


_ANSWER = msgspec.json.Decoder(_Answer)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepCase:
    """The facts about a response before its answer. `body`: of the request, as it went to the replica; `earlier`: the
    items of its input that are from before; `previous`: what it goes on from; `most_bytes`: of what is kept."""

    tenant: str
    body: bytes
    earlier: int
    previous: ConversationEnd | None
    most_bytes: int


def is_id(name: str) -> bool:
    """Whether a response can be kept under that name, or be there under it."""
    return _ID.fullmatch(name) is not None


def draft_of(answer: bytes, case: KeepCase) -> ResponseDraft | Unfit:
    """Makes what is to be kept of an answer, a response object as the client gets it, or says why nothing is.

    An answer that ends at its limit of tokens is whole; one that a guard has ended is not.
    """
    try:
        # msgspec does not check the UTF-8 of what it does not decode.
        read, fields = _ANSWER.decode(answer.decode()), _FIELDS.decode(answer)
    except UNREADABLE:
        return "unreadable"
    if not _is_whole(read):
        return "not_whole"
    if not is_id(read.id):
        return "unreadable"
    if len(answer) + len(case.body) > case.most_bytes and len(answer) + _own_bytes(case) > case.most_bytes:
        return "too_large"
    shown = {**fields, **_said(case.previous, stored=True), "output": _NO_OUTPUT}
    output, items = msgspec.json.encode(read.output), own_items(case.body, case.earlier)
    return ResponseDraft(
        tenant=case.tenant,
        id=read.id,
        model=read.model,
        response=msgspec.json.encode(shown),
        output=output,
        input=items,
        previous=case.previous,
    )


def told(answer: bytes, previous: ConversationEnd | None, *, stored: bool) -> bytes:
    """Returns an answer that says what it went on from, and whether it is kept. What cannot be read stays as it is."""
    try:
        fields = _FIELDS.decode(answer)
    except UNREADABLE:
        return answer
    return msgspec.json.encode({**fields, **_said(previous, stored=stored)})


def whole_response(kept: KeptResponse) -> bytes:
    """Returns a kept response as its client got it."""
    return msgspec.json.encode({**_FIELDS.decode(kept.response), "output": msgspec.Raw(kept.output)})


def _is_whole(read: _Answer) -> bool:
    if read.error is not None:
        return False
    cut = read.incomplete_details.reason if read.incomplete_details is not None else None
    return read.status == "completed" or (read.status == "incomplete" and cut != "content_filter")


def _own_bytes(case: KeepCase) -> int:
    """Returns the bytes of a request's own input, where most of its body may be from before."""
    return len(own_items(case.body, case.earlier))


def _said(previous: ConversationEnd | None, *, stored: bool) -> dict[str, msgspec.Raw]:
    said = {"store": _TRUE if stored else _FALSE}
    if previous is not None:
        said["previous_response_id"] = msgspec.Raw(msgspec.json.encode(previous.id))
    return said
