"""How the admin API works on the registry, which blocks: in a thread, its errors put into a request's terms."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from patchbay.core.errors import (
    AdapterError,
    AdapterRejected,
    ArtifactError,
    PatchbayError,
    RequestError,
    Unavailable,
    WorkStopped,
)
from patchbay.router.control.control import Control

_log = logging.getLogger("patchbay.router")
P = ParamSpec("P")
R = TypeVar("R")


async def changing(control: Control, work: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
    """As `threaded`, for what changes the registry: this router looks at once."""
    try:
        return await threaded(control, work, *arguments, **named)
    finally:
        control.follower.poke()


async def threaded(control: Control, work: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
    """Does what blocks in a thread, and puts what goes wrong into a request's terms."""
    with translated():
        return await control.threads.admin.run(work, *arguments, **named)


@contextmanager
def translated() -> Iterator[None]:
    """Puts whatever of ours goes wrong in the block into a request's terms: the seam of this API."""
    try:
        yield
    except RequestError:
        raise
    except AdapterError as error:
        raise AdapterRejected(error.message, hint=error.hint) from error
    except WorkStopped as error:
        raise Unavailable(str(error), retry_after_s=5) from error
    except ArtifactError as error:
        # It names folders of this machine.
        _log.error("the admin port cannot do what it is asked: %s", error)
        raise Unavailable(
            "The adapter cannot be kept or read now: the router's log says why.", retry_after_s=5
        ) from error
    except PatchbayError as error:
        # Not the request's fault: the registry, the store, or what this router was configured to do and cannot.
        _log.error("the admin port cannot do what it is asked: %s", error)
        raise Unavailable(str(error), retry_after_s=5) from error
