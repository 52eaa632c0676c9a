"""Tracing of requests for OpenTelemetry: its configuration, and the way to open a tracer.

The SDK is imported by `spans`, and that only where traces are wanted.
"""

from typing import Protocol
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from patchbay.core.errors import ConfigError
from patchbay.core.secret import Secret
from patchbay.core.settings import Settings
from patchbay.router.telemetry.request_record import RequestRecord

_TRACES = "/v1/traces"


class TracingConfig(Settings):
    """Export of spans by OTLP over HTTP. `endpoint`: a collector's URL, without a path `/v1/traces` there;
    `sample`: the share of requests that are traced, of those that name no trace of their own: what does is traced where
    its `traceparent` says so; `headers`: sent along, as a key that the collector asks for."""

    endpoint: str
    sample: float = Field(default=1, ge=0, le=1)
    headers: dict[str, Secret] = Field(default_factory=dict)

    @field_validator("endpoint")
    @classmethod
    def _is_a_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise ValueError("write it as http://HOST:PORT, with a path where that is not /v1/traces; keys: 'headers'")
        return value if parts.path.strip("/") else value.rstrip("/") + _TRACES


class Tracer(Protocol):
    """Tracer of requests: takes those that have ended, and sends their spans in the background."""

    def tell(self, record: RequestRecord) -> None:
        """Makes a span of a request whose trace is recorded. Never waits; a span that finds no room is lost."""

    async def close(self) -> None:
        """Sends the remaining spans, for a few seconds at most, and ends the export."""


def open_tracer(config: TracingConfig, url: str) -> Tracer:
    """Opens the tracer of the router that listens at `url`. Raises ConfigError where OpenTelemetry is not installed."""
    try:
        from patchbay.router.telemetry.spans import Spans
    except ImportError as error:
        raise ConfigError(
            f"tracing is configured, but OpenTelemetry's SDK is not installed ({error.name or error}).",
            hint="Install patchbay with its extra 'tracing', or leave 'tracing' out.",
        ) from error
    headers = {name: value.get_secret_value() for name, value in config.headers.items()}
    return Spans(config.endpoint, headers, url)
