"""A process that leaves usage in the spool and takes it in, and kills itself at its `step`th durable call:
`python -m tests.integration.registry.dying URL STEP`. Says `kept` once the usage must not be lost any more."""

import itertools
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import ParamSpec, TypeVar

from patchbay.registry import accounts, batches
from patchbay.registry.records import UsageBatch, UsageRow
from patchbay.registry.registry import Registry
from patchbay.registry.spool import spool_of
from patchbay.registry.usage_book import UsageBook

P = ParamSpec("P")
R = TypeVar("R")
_HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
BATCH = UsageBatch("a-router", 1, (UsageRow(hour=_HOUR, tenant="acme", route="help", model="sql@1", requests=1),))


def deadly(step: int) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Wraps calls, all counted together, so that the process dies before or after one of them."""
    count = itertools.count(1)

    def dies(work: Callable[P, R]) -> Callable[P, R]:
        def call(*arguments: P.args, **named: P.kwargs) -> R:
            _die_if(next(count) == step)
            done = work(*arguments, **named)
            _die_if(next(count) == step)
            return done

        return call

    return dies


def _die_if(due: bool) -> None:
    if due:
        os.kill(os.getpid(), signal.SIGKILL)


def main(url: str, step: int) -> None:
    """Keeps the batch, and takes it in."""
    with Registry.open(url) as registry:
        dies = deadly(step)
        os.fsync = dies(os.fsync)
        setattr(Path, "rename", dies(Path.rename))  # noqa: B010 - mypy knows no such assignment
        setattr(Path, "unlink", dies(Path.unlink))  # noqa: B010
        setattr(batches, "is_new", dies(batches.is_new))  # noqa: B010
        setattr(accounts.Accounts, "add_usage", dies(accounts.Accounts.add_usage))  # noqa: B010
        book = UsageBook(registry.accounts, spool_of(url))
        book.keep(BATCH)
        sys.stdout.write("kept\n")
        sys.stdout.flush()
        book.take_in()
    sys.stdout.write("ended\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
