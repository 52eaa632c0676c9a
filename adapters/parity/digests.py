"""The digests by which a trainer's tokenizer and template are compared with those that serve."""

import hashlib
import json
from collections.abc import Mapping


def vocabulary_digest(tokens: Mapping[str, int]) -> str:
    """Hashes a tokenizer's tokens with their ids: SHA-256 in hex."""
    listed = sorted(tokens.items(), key=lambda item: item[::-1])
    return hashlib.sha256(json.dumps(listed, ensure_ascii=True).encode()).hexdigest()


def template_digest(template: str) -> str:
    """Hashes a chat template, whose line ends and trailing lines say nothing: SHA-256 in hex."""
    return hashlib.sha256(template.replace("\r\n", "\n").rstrip("\n").encode()).hexdigest()
