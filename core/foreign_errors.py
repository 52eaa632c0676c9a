"""The translation of other servers' errors into the form that OpenAI's or Anthropic's clients expect. Pure.

vLLM puts a number into `code` and prints what the client sent; FastAPI has `detail`, older vLLM and SGLang have
`"object": "error"` at the top, text-generation-inference a bare text, and proxies answer with a page.
"""

import ast
import itertools
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from patchbay.core.error_bodies import anthropic_error_body, openai_error_body
from patchbay.core.errors import NotFinite

_VALIDATION = re.compile(r"\d+ validation errors?:")
# One fault of a failed validation, as vLLM prints it: Python's own notation, whose strings end with the quote that they
# began with.
_STRING = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_VALIDATION_FAULT = re.compile(rf"'loc': (?P<place>{_STRING}), 'msg': (?P<fault>{_STRING})")
_MOST_FAULTS = 10
# What pydantic prints after each fault: the kind and the client's own value, and a link to its manual.
_PYDANTIC_REST = re.compile(
    r"\s*\[type=\w+, input_value=.*?, input_type=\w+\]|\s*For further information visit \S+", re.DOTALL
)
_LONGEST_MESSAGE = 2000
# Codes that OpenAI's clients know, by the words that stand for them.
_CODES = (
    (re.compile(r"maximum context length|longer than the maximum model length"), "context_length_exceeded"),
    (re.compile(r"^Response with id '.*' not found"), "previous_response_not_found"),
    (re.compile(r"^The model `.*` does not exist"), "model_not_found"),
)


def rewrite_error(status: int, body: bytes, *, anthropic: bool = False) -> bytes:
    """Rewrites `body`, another server's error, into OpenAI's shape or Anthropic's.

    `status`: the HTTP status of the answer; `anthropic`: whether the endpoint is Anthropic's.
    """
    fields = error_fields(body)
    message = _readable_message(fields.get("message")) or f"The engine answered with status {status}."
    if anthropic:
        return anthropic_error_body(message, status=status)
    param = fields.get("param")
    return openai_error_body(
        message,
        error_type="invalid_request_error" if status < 500 else "server_error",
        param=param.removeprefix("body.") if isinstance(param, str) else None,
        code=_code(fields.get("code"), message, status),
    )


def error_fields(body: bytes) -> dict[str, Any]:
    """Returns the fields of the error in `body`, whichever server's it is: `message` among them, or none at all."""
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    error = decoded.get("error", decoded) if isinstance(decoded, dict) else {}
    if not isinstance(error, dict):
        return {"message": str(error)}
    detail = error.get("detail")
    if isinstance(detail, list):
        return {"message": "; ".join(dict.fromkeys(_detailed(detail))), "param": _place(detail[0]) if detail else None}
    return error if detail is None else {"message": str(detail)}


def _detailed(faults: Iterable[Any]) -> list[str]:
    """Returns FastAPI's faults as texts: where, and what is wrong there."""
    return [
        f"{_place(fault)}: {fault['msg']}"
        for fault in itertools.islice(faults, _MOST_FAULTS)
        if isinstance(fault, dict) and isinstance(fault.get("msg"), str)
    ]


def _place(fault: Any) -> str:
    place = fault.get("loc") if isinstance(fault, Mapping) else None
    return ".".join(str(part) for part in place if part != "body") if isinstance(place, list) else ""


def _code(code: Any, message: str, status: int) -> str | None:
    if isinstance(code, str):
        return code
    if message.startswith(NotFinite.LEAD):
        return NotFinite.code
    known = next((name for words, name in _CODES if words.search(message)), None)
    return known if status < 500 else None


def _readable_message(message: Any) -> str:
    """Returns the message without the client's input, which vLLM and pydantic print with a failed validation.

    Only what is wrong, and where, is kept.
    """
    if not isinstance(message, str):
        return ""
    if not _VALIDATION.match(message):
        return _PYDANTIC_REST.sub("", message[:_LONGEST_MESSAGE])
    found = list(itertools.islice(_VALIDATION_FAULT.finditer(message), _MOST_FAULTS))
    faults = [f"{_text(fault['place']).removeprefix('body.')}: {_text(fault['fault'])}" for fault in found]
    return "; ".join(dict.fromkeys(faults)) if faults else message[:_LONGEST_MESSAGE]


def _text(literal: str) -> str:
    """Returns the text that a string in Python's notation stands for."""
    try:
        return str(ast.literal_eval(literal))
    except (SyntaxError, ValueError):
        return literal[1:-1]
