"""File descriptors: how many this process may have, and whether there are any left.

Source: getrlimit(2); accept(2) and socket(2), EMFILE and ENFILE.
"""

import os
import resource
from typing import Final

_UNLIMITED: Final = 1 << 20
# For the registry, logs, files of guards, the admin port and connections to replicas that are kept.
_RESERVED: Final = 256


def raise_limit() -> None:
    """Lets this process have as many as it may: the soft limit is often 1024, for programs that use select(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _UNLIMITED if hard == resource.RLIM_INFINITY else hard
    if soft not in (resource.RLIM_INFINITY, wanted) and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def for_clients() -> int:
    """How many may go to clients and to what is asked for them: the limit without a reserve."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _UNLIMITED if soft == resource.RLIM_INFINITY else soft
    return max(limit - _RESERVED, limit // 2)


def are_left() -> bool:
    """Whether another one can be had now: a failed connection says so only where no name had to be looked up."""
    try:
        os.close(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        return False
    return True
