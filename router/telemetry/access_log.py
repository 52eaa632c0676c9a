"""The access log: a line for each request that has ended, which never holds a prompt, an answer or a key."""

import logging
from hashlib import blake2b

from patchbay.router.http.body import Prompt
from patchbay.router.telemetry.logs import log_fields
from patchbay.router.telemetry.request_record import RequestRecord

_log = logging.getLogger("patchbay.access")


class AccessLog:
    """`key`: what the prompts' hashes are made with, so that only who has it can look for a known prompt."""

    def __init__(self, key: bytes) -> None:
        # BLAKE2's own keys have 64 bytes at most.
        self._key = blake2b(key).digest()

    def tell(self, one: RequestRecord, prompt: Prompt | None) -> None:
        """Logs a request. `prompt`: None where there was none to read."""
        fields: dict[str, str | int | float] = {
            "request": one.id.decode(),
            "trace": one.span.trace.decode(),
            "endpoint": one.endpoint,
            "route": one.route,
            "adapter": one.adapter,
            "revision": one.revision,
            "arm": one.arm,
            "replica": one.replica,
            "outcome": one.outcome,
            "status": one.status,
            "seconds": round(one.seconds, 6),
            "prompt_tokens": one.prompt_tokens,
            "answer_tokens": one.answer_tokens,
            "prompt_hash": self._hash_of(prompt) if prompt is not None else "",
        }
        log_fields(_log, "request ended", fields)

    def _hash_of(self, prompt: Prompt) -> str:
        """A keyed hash of the prompt's JSON as it came: 32 hexadecimal digits. Source: RFC 7693 (BLAKE2, keyed)."""
        mark = blake2b(memoryview(prompt.system), key=self._key, digest_size=16)
        mark.update(b"\0")
        mark.update(memoryview(prompt.text))
        return mark.hexdigest()
