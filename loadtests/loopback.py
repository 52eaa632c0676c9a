"""The check that load goes to loopback only."""

from urllib.parse import urlsplit

from patchbay.core.errors import ConfigError
from patchbay.core.settings import is_loopback


def check_loopback(url: str) -> None:
    """Raises ConfigError where `url` is not on this machine."""
    if not is_loopback(urlsplit(url).hostname or ""):
        raise ConfigError(f"{url} is not on this machine.", hint="Load is only ever sent to loopback.")
