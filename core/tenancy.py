"""The limits of tenants, and their keys: making, parsing and comparing them."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

from pydantic import Field

from patchbay.core.settings import Settings

DEFAULT_TENANT = "default"
DEFAULT_TIER = "default"
TENANT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_KEY = re.compile(rb"pb-(?P<id>[a-z2-7]{12})-(?P<secret>[A-Za-z0-9_-]{43})")
_ID_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_ID_LENGTH = 12


class Limits(Settings):
    """Limits what a tenant may use of everything together; a missing key is no limit. `concurrent`: requests at a time;
    `money_per_day`: in the currency of the configured prices. Minutes and days are those of the clock, in UTC."""

    requests_per_minute: int | None = Field(default=None, ge=1)
    tokens_per_minute: int | None = Field(default=None, ge=1)
    concurrent: int | None = Field(default=None, ge=1)
    tokens_per_day: int | None = Field(default=None, ge=1)
    money_per_day: float | None = Field(default=None, gt=0)

    @property
    def none(self) -> bool:
        """Whether nothing is limited."""
        return self.requests_per_minute is None and self.concurrent is None and not self.by_tokens

    @property
    def by_tokens(self) -> bool:
        """Whether any limit is counted in tokens, or in what tokens cost."""
        return (self.tokens_per_minute, self.tokens_per_day, self.money_per_day) != (None, None, None)

    def over(self, other: "Limits") -> "Limits":
        """Returns these limits, with those of `other` where these set none."""
        return other.model_copy(update={name: value for name, value in self if value is not None})


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key that was just made. `id`: by which it is found; `text`: shown once; `digest`: stored."""

    id: str
    text: str
    digest: str


def new_key() -> NewKey:
    """Makes a key: an id by which it is found, and 256 random bits."""
    name = "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH))
    text = f"pb-{name}-{secrets.token_urlsafe(32)}"
    return NewKey(id=name, text=text, digest=key_digest(text.encode()))


def key_id(shown: bytes) -> str | None:
    """Returns the id in a key, or None where `shown` does not have the form of one."""
    match = _KEY.fullmatch(shown)
    return match["id"].decode() if match else None


def key_digest(shown: bytes) -> str:
    """Returns the digest of a key, which is stored. A plain hash is enough: 256 random bits cannot be guessed."""
    return hashlib.sha256(shown).hexdigest()


def same_digest(one: str, other: str) -> bool:
    """Compares two digests in constant time, so that the time does not show where they differ."""
    return hmac.compare_digest(one, other)
