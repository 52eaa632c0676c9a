"""How the admin API works on the registry, which blocks: in a thread, its errors put into a request's terms."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from adapters.errors import (
    AdapterError,
    AdapterRejected,
    ArtifactError,
    RegistryError,
    RequestError,
    Unavailable,
)
from router.control.control import Control

P = ParamSpec("P")
R = TypeVar("R")


async def changing(control: Control, work: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
    """As `threaded`, for what changes the registry: this router looks at once."""
    try:
        return await threaded(work, *arguments, **named)
    finally:
        control.follower.poke()


async def threaded(work: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
    """Does what blocks in a thread, and puts what goes wrong into a request's terms: the seam of this API."""
    with _translated():
        return await asyncio.to_thread(work, *arguments, **named)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except RequestError:
        raise
    except AdapterError as error:
        raise AdapterRejected(error.message, hint=error.hint) from error
    except (ArtifactError, RegistryError) as error:
        raise Unavailable(str(error), retry_after_s=5) from error
