"""The limit on this process's file descriptors: raising it, sharing it out, and finding that none are left.

Source: getrlimit(2); accept(2) and socket(2), EMFILE and ENFILE.
"""

import os
import resource
from typing import Final

_UNLIMITED: Final = 1 << 20
# Kept for the registry, logs, files of guards, the admin port and idle connections to replicas.
_RESERVED: Final = 256


def raise_limit() -> None:
    """Raises the soft limit to the hard one: it is often 1024, for programs that use select(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _UNLIMITED if hard == resource.RLIM_INFINITY else hard
    if soft not in (resource.RLIM_INFINITY, wanted) and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def for_clients() -> int:
    """Returns the number of descriptors for clients and requests made for them: the limit without a reserve."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _UNLIMITED if soft == resource.RLIM_INFINITY else soft
    return max(limit - _RESERVED, limit // 2)


def are_left() -> bool:
    """Says whether another descriptor can be had now.

    The error of a failed connection shows that only where no host name had to be resolved.
    """
    try:
        os.close(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        return False
    return True
