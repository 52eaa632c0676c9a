"""Where prompts that begin alike meet, so that the KV cache of their beginning is used again. Pure.

Nothing is remembered, so all routers agree, and a router that has just started as well. Source: D. Thaler and
C. Ravishankar, "Using name-based mappings to increase hit rates", IEEE/ACM Transactions on Networking 6(1), 1998
(rendezvous hashing): when a replica comes or goes, only its own share moves.
"""

from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from patchbay.router.http.body import Prompt

_MESSAGE_BYTES = 2048
_TEXT_BYTES = 512


class _Message(msgspec.Struct, frozen=True):
    role: str = ""


_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_ROLE = msgspec.json.Decoder(_Message)


def beginning(engine_name: str, prompt: Prompt) -> bytes:
    """What stands for the beginning of `prompt` under that model: the same for all turns of a conversation.

    Of a chat that is what comes before the first question, and it; of a text its first 512 bytes.
    """
    system = bytes(memoryview(prompt.system)[:_MESSAGE_BYTES])
    return b"\0".join([engine_name.encode(), system, _start(memoryview(prompt.text))])


def first_choice(key: bytes, names: Sequence[str]) -> str:
    """The name among `names` that `key` belongs to."""
    mark = blake2b(key, digest_size=16).digest()
    return max(names, key=lambda name: blake2b(name.encode(), key=mark, digest_size=8).digest())


def _start(text: memoryview) -> bytes:
    if bytes(text[:1]) != b"[":
        return bytes(text[:_TEXT_BYTES])
    parts: list[bytes] = []
    for part in _LIST.decode(text)[:2]:
        parts.append(bytes(memoryview(part)[:_MESSAGE_BYTES]))
        if not _before_the_question(part):
            break
    return b"\0".join(parts) if parts and parts[0].startswith(b"{") else bytes(text[:_TEXT_BYTES])


def _before_the_question(message: msgspec.Raw) -> bool:
    """Whether this is a message whose role is not `user`. What is no message counts as well."""
    try:
        return _ROLE.decode(message).role != "user"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return True
