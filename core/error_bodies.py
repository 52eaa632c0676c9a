"""Error bodies: the rendering of errors in OpenAI's and in Anthropic's JSON."""

import json
from collections.abc import Mapping

from patchbay.core.errors import ContentFiltered, RequestError

_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def anthropic_body(error: RequestError) -> bytes:
    """Makes the JSON body that Anthropic's clients expect of `error`, UTF-8 encoded."""
    return anthropic_error_body(str(error), status=error.status)


def anthropic_error_body(message: str, *, status: int) -> bytes:
    """Makes an error body in Anthropic's shape, UTF-8 encoded.

    Source: https://docs.anthropic.com/en/api/errors and the `anthropic` package's `ErrorResponse`.
    """
    other = "api_error" if status >= 500 else "invalid_request_error"
    fields = {"type": _ANTHROPIC_TYPES.get(status, other), "message": message}
    return json.dumps({"type": "error", "error": fields}, ensure_ascii=False).encode()


def openai_body(error: RequestError) -> bytes:
    """Makes the JSON body that OpenAI's clients expect of `error`, UTF-8 encoded."""
    inner = None
    if isinstance(error, ContentFiltered) and error.results is not None:
        inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": error.results}
    return openai_error_body(str(error), error_type=error.shown_type, param=error.param, code=error.code, inner=inner)


def openai_error_body(
    message: str,
    *,
    error_type: str,
    param: str | None = None,
    code: str | None = None,
    inner: Mapping[str, object] | None = None,
) -> bytes:
    """Makes an error body in OpenAI's shape, UTF-8 encoded. `inner`: Azure's `innererror`.

    Source: https://platform.openai.com/docs/guides/error-codes and the `openai` package's `APIStatusError`.
    """
    fields: dict[str, object] = {"message": message, "type": error_type, "param": param, "code": code}
    if inner is not None:
        fields["innererror"] = inner
    return json.dumps({"error": fields}, ensure_ascii=False).encode()
