"""Interruption of a command by Ctrl-C or SIGTERM, while it waits for something that goes on without it."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import typer

_ENDS = (signal.SIGINT, signal.SIGTERM)


class _Interrupted(BaseException):
    """SIGINT or SIGTERM came. It is not an Exception, so that no handler of errors on the way catches it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def told_when_interrupted(say: Callable[[], str]) -> Iterator[None]:
    """Ends the command on Ctrl-C and SIGTERM within the block, with a message and the exit code 130 or 143.

    `say`: returns the message. Source of the codes: the Bash manual, "Exit Status" (128 and the signal's number).
    """

    def interrupt(number: int, _frame: FrameType | None) -> None:
        for end in _ENDS:
            # A second signal ends the command whatever it does.
            signal.signal(end, signal.SIG_DFL)
        raise _Interrupted(number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        # Signals that are ignored (nohup, a shell's '&') stay ignored.
        before = {
            number: found for number in _ENDS if (found := signal.getsignal(number)) not in (signal.SIG_IGN, None)
        }
    for number in before:
        signal.signal(number, interrupt)
    try:
        yield
    except _Interrupted as interrupted:
        typer.echo(say(), err=True)
        raise typer.Exit(128 + interrupted.number) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
