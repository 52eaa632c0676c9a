"""Threads for the admin API's calls to the registry, which block, and the translation of their errors."""

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
    """Calls `work` like `threaded`, for changes to the registry: this router reads it at once afterwards."""
    try:
        return await threaded(control, work, *arguments, **named)
    finally:
        control.follower.poke()


async def threaded(control: Control, work: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
    """Calls `work`, which blocks, in a thread, and translates its errors as `translated` does."""
    with translated():
        return await control.threads.admin.run(work, *arguments, **named)


@contextmanager
def translated() -> Iterator[None]:
    """Translates Patchbay's own errors in the block into errors of a request."""
    try:
        yield
    except RequestError:
        raise
    except AdapterError as error:
        raise AdapterRejected(error.message, hint=error.hint) from error
    except WorkStopped as error:
        raise Unavailable(str(error), retry_after_s=5) from error
    except ArtifactError as error:
        # Its message names folders of this machine, so only the log has it.
        _log.error("the admin port could not serve a request: %s", error)
        raise Unavailable(
            "The adapter cannot be stored or read now: the router's log says why.", retry_after_s=5
        ) from error
    except PatchbayError as error:
        # Not the request's fault, but the registry's, the store's, or the configuration's.
        _log.error("the admin port could not serve a request: %s", error)
        raise Unavailable(str(error), retry_after_s=5) from error
