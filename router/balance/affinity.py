"""Prefix affinity: prompts that begin alike go to one replica, whose KV cache holds their beginning. Pure.

Nothing is remembered, so all routers agree, even one that has just started. Source: D. Thaler and
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
    """Returns the key of the beginning of `prompt` under that model: the same for all turns of a conversation.

    For a chat it is made from the messages up to the first question, with that; for a text from its first 512 bytes.
    """
    system = bytes(memoryview(prompt.system)[:_MESSAGE_BYTES])
    return b"\0".join([engine_name.encode(), system, _start(memoryview(prompt.text))])


def first_choice(key: bytes, names: Sequence[str]) -> str:
    """Returns the name among `names` that `key` belongs to, by rendezvous hashing."""
    mark = blake2b(key, digest_size=16).digest()
    return max(names, key=lambda name: blake2b(name.encode(), key=mark, digest_size=8).digest())


def _start(text: memoryview) -> bytes:
    """Returns the first bytes of a text, or of the first messages of a chat: two at most."""
    if bytes(text[:1]) != b"[":
        return bytes(text[:_TEXT_BYTES])
    parts: list[bytes] = []
    for part in _LIST.decode(text)[:2]:
        parts.append(bytes(memoryview(part)[:_MESSAGE_BYTES]))
        if not _before_the_question(part):
            break
    return b"\0".join(parts) if parts and parts[0].startswith(b"{") else bytes(text[:_TEXT_BYTES])


def _before_the_question(message: msgspec.Raw) -> bool:
    """Whether the role of `message` is not `user`. True for anything that is no message."""
    try:
        return _ROLE.decode(message).role != "user"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return True
