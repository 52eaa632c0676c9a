"""Formats of JSON schemas: a test for each that a text can be held to without a library of its own. Pure.

Formats that are not here count as met, as they are notes by the draft. Only a bounded beginning of a text is looked at:
no text that fits is longer.

Source: https://json-schema.org/draft/2020-12 (validation, section 7.3); RFC 3339, 3986, 5321, 1123, 4122.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Final

# Characters of the longest text that a format is met by.
_LONGEST: Final = 8192
_TIME: Final = (
    r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST: Final = rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*"
_URI_CHARS: Final = r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})"


def _full(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern, re.ASCII)
    return lambda text: compiled.fullmatch(text) is not None


def _is_date(text: str) -> bool:
    if not _full_date(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_date_time(text: str) -> bool:
    return len(text) > 11 and text[10] in "Tt " and _is_date(text[:10]) and _is_time(text[11:])


def _is_address(version: int) -> Callable[[str], bool]:
    def met(text: str) -> bool:
        try:
            return "%" not in text and "/" not in text and ipaddress.ip_address(text).version == version
        except ValueError:
            return False

    return met


_full_date: Final = _full(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_is_time: Final = _full(_TIME)
FORMATS: Final[Mapping[str, Callable[[str], bool]]] = {
    "date": _is_date,
    "time": _is_time,
    "date-time": _is_date_time,
    "duration": _full(
        r"P(?=.)(?:[0-9]+W|(?:[0-9]+Y)?(?:[0-9]+M)?(?:[0-9]+D)?(?:T(?=.)(?:[0-9]+H)?(?:[0-9]+M)?(?:[0-9]+S)?)?)"
    ),
    "email": _full(rf"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~.-]{{1,64}}@(?:{_HOST}|\[[0-9A-Fa-f:.]{{2,45}}\])"),
    "hostname": _full(_HOST),
    "ipv4": _is_address(4),
    "ipv6": _is_address(6),
    "uuid": _full(r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}"),
    "uri": _full(rf"[A-Za-z][A-Za-z0-9+.-]*:{_URI_CHARS}*"),
}


def meets(text: str, name: str) -> bool:
    """Says whether a text is of a format; one that is not known here counts as met."""
    known = FORMATS.get(name)
    return known is None or (len(text) <= _LONGEST and known(text))
