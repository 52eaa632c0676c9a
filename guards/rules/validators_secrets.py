"""Validators of secrets: tests for random text, and for what stands in its place in examples. Pure."""

import base64
import binascii
import json
import math
import re
from collections import Counter
from typing import Final

from patchbay.guards.rules.validators import digits_of

# Bits for each character from which text looks random.
_RANDOM_BITS: Final = 3.5


def entropy(text: str) -> float:
    """Returns the bits for each character, by the frequency of each in `text` (Shannon, 1948)."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)


def random_looking(text: str) -> bool:
    """Whether text has letters and digits, and at least 3.5 bits for each character."""
    mixed = re.search("[A-Za-z]", text) is not None and re.search("[0-9]", text) is not None
    return mixed and entropy(text) >= _RANDOM_BITS


def quoted_secret(text: str) -> bool:
    """Whether the text between the last quotes looks random."""
    return random_looking(re.split("[\"']", text)[-2])


def bare_secret(text: str) -> bool:
    """Whether a value without quotes looks random. It needs three digits, as it may be a name in a program
    otherwise."""
    value = re.split(r"[=:>\s]", text.rstrip("="))[-1]
    return len(digits_of(value)) >= 3 and random_looking(value)


def jwt(text: str) -> bool:
    """Checks a JSON web token by RFC 7519: the first segment is base64url of a JSON object."""
    head = text.partition(".")[0]
    try:
        return isinstance(json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))), dict)
    except (ValueError, binascii.Error):
        return False
