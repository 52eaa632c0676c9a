"""Values that a configuration allows: they are found, and left alone. Pure."""

import hashlib
import re
from collections.abc import Sequence

import re2

from patchbay.core.errors import ConfigError


class AllowedValues:
    """The values that a guard leaves alone.

    `patterns`: regular expressions that fit a whole value, matched by RE2 whatever the case; `hashes`: SHA-256 of
    values in hexadecimal, as they are written or as their letters and digits alone; `domains`: names of one's own
    hosts, whose addresses of mail boxes and of the web are allowed, and those below them. Raises ConfigError for a
    pattern that cannot be used.
    """

    def __init__(self, *, patterns: Sequence[str], hashes: Sequence[str], domains: Sequence[str]) -> None:
        self._patterns = [_compiled(pattern) for pattern in patterns]
        self._hashes = frozenset(digest.lower() for digest in hashes)
        self._domains = tuple(domain.lower().lstrip(".") for domain in domains)

    def has(self, value: str) -> bool:
        """Says whether a value, folded as texts are, is allowed."""
        if any(pattern.fullmatch(value) is not None for pattern in self._patterns):
            return True
        if self._hashes and not self._hashes.isdisjoint({_digest(value), _digest(re.sub("[^0-9A-Za-z]", "", value))}):
            return True
        return bool(self._domains) and self._is_own(value)

    def _is_own(self, value: str) -> bool:
        _, _, rest = value.lower().partition("://") if "://" in value else ("", "", value.lower())
        host = re.split("[/:?#]", rest)[0].rpartition("@")[2]
        return any(host == domain or host.endswith(f".{domain}") for domain in self._domains)


def _compiled(pattern: str) -> "re2._Regexp[str]":
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise ConfigError(f"'{pattern[:80]}' is no regular expression that RE2 takes: {error}.") from error


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()
