"""The exception tree of Patchbay, and the translation of errors into exit codes.

PatchbayError
├── ConfigError            a configuration that cannot be used
├── StartError             a process that cannot come up (a base that does not load, a port that is taken)
├── AdapterError           an adapter's files or settings do not fit
│   ├── SourceError        an adapter cannot be got from where it is said to be
│   └── TooCostly          reading an adapter took more time, memory or bytes than it may
├── DataError              the files or rows of a data set cannot be used
├── ArtifactError          the artifact store cannot be read or written
├── RegistryError          the registry's database cannot be reached or used
├── WorkStopped            work was ended because somebody no longer wants it
└── RequestError           one request cannot be answered; has a status and OpenAI's `type` and `code`
    ├── InvalidRequest     400
    │   ├── ContentFiltered     a guard does not let the prompt through
    │   ├── UnsupportedParameter    a field asks for what is not done here
    │   ├── PreviousResponseNotFound    the response that a request goes on from is not kept
    │   └── ConversationTooLong     so many responses, or bytes of them, are not gone on from
    ├── Unauthorized       401
    ├── Forbidden          403
    ├── ModelNotFound      404
    ├── NotFound           404
    ├── MethodNotAllowed   405
    ├── RequestTimeout     408
    ├── Conflict           409
    ├── BodyTooLarge       413
    ├── UnsupportedMediaType  415
    │   └── UnsupportedEncoding     a body is compressed in a way that is not read, with those that are
    ├── AdapterRejected    422, an adapter that a request asked for cannot be served
    ├── SuspectedQuery     422, replicas died under this request, so it is not tried on another
    ├── RateLimited        429, with the seconds after which to try again
    ├── NotImplementedHere 501
    ├── NotFinite          500, a revision (or the base) gave logits that are not finite
    ├── GuardFailed        500, a guard could not do its work, so nothing goes through
    │   └── AnswerUnreadable    502, a replica's answer is not in its format, so no guard can read it
    ├── UpstreamFailed     502
    ├── Unavailable        503, with the seconds after which to try again
    │   └── RevisionMissing     the replica does not have the revision that its router means
    └── DeadlineExceeded   504
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar


class PatchbayError(Exception):
    """The base of all errors. `message`: what is wrong; `hint`: what to do about it."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedFault:
    """A fault of a configuration file. `key`: the setting, empty where no single one is meant; `line`, `column`: where
    it stands, from 1, None where that cannot be said; `message`: what is wrong, and what to write instead."""

    key: str
    line: int | None
    column: int | None
    message: str

    def __str__(self) -> str:
        return self.message if self.line is None else f"line {self.line}, column {self.column}: {self.message}"


class ConfigError(PatchbayError):
    """A configuration that cannot be used. `faults`: each of its faults, where they are told one by one."""

    def __init__(self, message: str, *, hint: str | None = None, faults: tuple[PlacedFault, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.faults = faults


class StartError(PatchbayError):
    """A process that cannot come up."""


class AdapterError(PatchbayError):
    """An adapter's files or settings do not fit. `reason`: the kind of fault, for metrics; the checks set it."""

    def __init__(self, message: str, *, hint: str | None = None, reason: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class SourceError(AdapterError):
    """An adapter cannot be got from where it is said to be."""


class TooCostly(AdapterError):
    """Reading an adapter took more time, memory or bytes than it may."""


class DataError(PatchbayError):
    """The files or rows of a data set cannot be used."""


class ArtifactError(PatchbayError):
    """The artifact store cannot be read or written."""


class RegistryError(PatchbayError):
    """The registry's database cannot be reached or used."""


class WorkStopped(PatchbayError):
    """Work was ended because somebody no longer wants it."""


class RequestError(PatchbayError):
    """The base of errors with which one request is answered. `param`: the request's field that is at fault, if any."""

    status: ClassVar[int] = 500
    error_type: ClassVar[str] = "server_error"
    code: ClassVar[str | None] = None

    def __init__(self, message: str, *, param: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.param = param

    @property
    def shown_type(self) -> str:
        """The `type` in OpenAI's error body."""
        return self.error_type

    def headers(self) -> dict[str, str]:
        """Returns the HTTP headers that go with this error."""
        return {}


class InvalidRequest(RequestError):
    status = 400
    error_type = "invalid_request_error"


class ContentFiltered(InvalidRequest):
    """A guard does not let the prompt through. `results`: the guards' verdicts, where the client asked for them.
    Source: OpenAI's and Azure's `content_filter`."""

    code = "content_filter"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.results: Mapping[str, object] | None = None


class UnsupportedParameter(InvalidRequest):
    """A field asks for what is not done here. Source: the code that OpenAI gives such a request."""

    code = "unsupported_parameter"


class PreviousResponseNotFound(InvalidRequest):
    """The response that a request goes on from is not kept, or is another tenant's. Source: OpenAI's code and words."""

    code = "previous_response_not_found"

    def __init__(self, response: str, *, hint: str | None = None) -> None:
        message = f"Previous response with id '{response[:200]}' not found."
        super().__init__(message, param="previous_response_id", hint=hint)


class ConversationTooLong(InvalidRequest):
    """A conversation has so many responses, or bytes, that it is not gone on from. `why`: the limit, in words."""

    code = "conversation_too_long"

    def __init__(self, why: str) -> None:
        message = f"The conversation that this request goes on from is too long: {why}."
        hint = "Begin a new one with what still matters of it in 'input'."
        super().__init__(message, param="previous_response_id", hint=hint)


class Unauthorized(RequestError):
    status = 401
    error_type = "invalid_request_error"
    code = "invalid_api_key"

    def headers(self) -> dict[str, str]:
        return {"www-authenticate": "Bearer"}


class Forbidden(RequestError):
    status = 403
    error_type = "invalid_request_error"
    code = "forbidden"


class ModelNotFound(RequestError):
    status = 404
    error_type = "invalid_request_error"
    code = "model_not_found"

    def __init__(self, model: str, *, hint: str | None = None) -> None:
        said = f"The model '{model}' does not exist or you do not have access to it."
        super().__init__(said, param="model", hint=hint)
        self.model = model


class NotFound(RequestError):
    status = 404
    error_type = "invalid_request_error"
    code = "not_found"


class MethodNotAllowed(RequestError):
    status = 405
    error_type = "invalid_request_error"
    code = "method_not_allowed"

    def __init__(self, message: str, *, allow: str) -> None:
        super().__init__(message)
        self.allow = allow

    def headers(self) -> dict[str, str]:
        return {"allow": self.allow}


class RequestTimeout(RequestError):
    status = 408
    error_type = "invalid_request_error"
    code = "request_timeout"


class Conflict(RequestError):
    status = 409
    error_type = "invalid_request_error"
    code = "conflict"


class BodyTooLarge(RequestError):
    status = 413
    error_type = "invalid_request_error"
    code = "request_too_large"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The request body is larger than {limit_bytes} bytes.")


class TooManyElements(RequestError):
    status = 413
    error_type = "invalid_request_error"
    code = "request_too_large"

    def __init__(self, most: int) -> None:
        super().__init__(
            f"The JSON body of your request has more than {most} elements (values, keys, lists and objects)."
        )


class UnsupportedMediaType(RequestError):
    status = 415
    error_type = "invalid_request_error"
    code = "unsupported_media_type"


class UnsupportedEncoding(UnsupportedMediaType):
    """A body that is compressed in a way that nobody here reads. `accepted`: the ways that are read."""

    code = "unsupported_content_encoding"

    def __init__(self, encoding: str, *, accepted: str) -> None:
        super().__init__(f"Bodies with 'Content-Encoding: {encoding}' are not read, those with {accepted} are.")
        self.accepted = accepted

    def headers(self) -> dict[str, str]:
        return {"accept-encoding": self.accepted}


class AdapterRejected(RequestError):
    status = 422
    error_type = "invalid_request_error"
    code = "adapter_rejected"


class SuspectedQuery(RequestError):
    """Replicas died under requests of this kind, one after the other. `retry_after_s`: whole seconds for which such
    requests are refused. The status is 422 and not a 5xx, because clients and gateways retry a 5xx by themselves, here
    or elsewhere, and the request would end more replicas."""

    status = 422
    error_type = "invalid_request_error"
    code = "suspected_query_of_death"

    def __init__(self, *, retry_after_s: int) -> None:
        super().__init__(
            "Replicas failed under this request, one after the other, so it is not tried on another one: it may be "
            f"what ends them. Requests like it are held off for {retry_after_s} s.",
            hint="Do not send it again as it is; tell the operator if it is a request like any other.",
        )
        self.retry_after_s = retry_after_s

    def headers(self) -> dict[str, str]:
        return {"retry-after": str(self.retry_after_s)}


class RateLimited(RequestError):
    """A limit is reached. `kind`: the kind of limit, for OpenAI's `type`; `retry_after_s`: whole seconds; `extra`:
    further headers; `of_route`: whether the limit is a route's and not its caller's."""

    status = 429
    code = "rate_limit_exceeded"

    def __init__(
        self,
        message: str,
        *,
        kind: str = "requests",
        retry_after_s: int = 1,
        hint: str | None = None,
        extra: Iterable[tuple[bytes, bytes]] = (),
        of_route: bool = False,
    ) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind
        self.of_route = of_route
        self.retry_after_s = retry_after_s
        self.extra = tuple(extra)

    @property
    def shown_type(self) -> str:
        """The `type` in OpenAI's error body."""
        return self.kind

    def headers(self) -> dict[str, str]:
        extra = {name.decode(): value.decode() for name, value in self.extra}
        return {"retry-after": str(self.retry_after_s), **extra}


class NotFinite(RequestError):
    """A model gave logits that are not finite. `model`: the base, or a revision by the name that clients may see."""

    code = "not_finite"
    LEAD: ClassVar[str] = "The model's logits are not finite numbers"

    def __init__(self, model: str) -> None:
        super().__init__(f"{self.LEAD}: {model} cannot answer this request.")


class GuardFailed(RequestError):
    code = "guard_failed"


class AnswerUnreadable(GuardFailed):
    """A replica's answer is not in its format, so no guard can read it."""

    status = 502

    def __init__(self, message: str = "The answer could not be read, so it was not let through.") -> None:
        super().__init__(message)


class NotImplementedHere(RequestError):
    """A request needs what this server does not know."""

    status = 501
    error_type = "invalid_request_error"
    code = "not_implemented"


class UpstreamFailed(RequestError):
    status = 502
    error_type = "server_error"
    code = "upstream_failed"


class Unavailable(RequestError):
    """Nothing can answer now. `retry_after_s`: whole seconds after which another try is worth it."""

    status = 503
    error_type = "server_error"
    code = "unavailable"

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s

    def headers(self) -> dict[str, str]:
        return {"retry-after": str(self.retry_after_s)}


class RevisionMissing(Unavailable):
    """A replica does not have the revision that its router means. The header tells the router."""

    def headers(self) -> dict[str, str]:
        return {**super().headers(), "x-patchbay-missing": "1"}


class DeadlineExceeded(RequestError):
    status = 504
    error_type = "server_error"
    code = "deadline_exceeded"
