"""Access log: a line for each request that has ended. It never holds a prompt, an answer or a key."""

import logging
from hashlib import blake2b

from patchbay.router.http.body import Prompt
from patchbay.router.telemetry.logs import log_fields
from patchbay.router.telemetry.request_record import RequestRecord

_log = logging.getLogger("patchbay.access")


class AccessLog:
    """Access log of this router. `key`: the secret of the prompts' hashes, without which nobody can look for a known
    prompt in the log."""

    def __init__(self, key: bytes) -> None:
        # BLAKE2 takes keys of 64 bytes at most, so a key of any length is hashed first.
        self._key = blake2b(key).digest()

    def tell(self, record: RequestRecord, prompt: Prompt | None) -> None:
        """Logs a request that has ended. `prompt`: None where there was none to read."""
        fields: dict[str, str | int | float] = {
            "request": record.id.decode(),
            "trace": record.span.trace.decode(),
            "endpoint": record.endpoint,
            "route": record.route,
            "adapter": record.adapter,
            "revision": record.revision,
            "arm": record.arm,
            "replica": record.replica,
            "outcome": record.outcome,
            "status": record.status,
            "seconds": round(record.seconds, 6),
            "prompt_tokens": record.prompt_tokens,
            "answer_tokens": record.answer_tokens,
            "prompt_hash": self._hash_of(prompt) if prompt is not None else "",
        }
        log_fields(_log, "request ended", fields)

    def _hash_of(self, prompt: Prompt) -> str:
        """Returns a keyed hash of the prompt's JSON as it came: 32 hexadecimal digits.

        Source: RFC 7693 (BLAKE2, keyed).
        """
        digest = blake2b(memoryview(prompt.system), key=self._key, digest_size=16)
        digest.update(b"\0")
        digest.update(memoryview(prompt.text))
        return digest.hexdigest()
