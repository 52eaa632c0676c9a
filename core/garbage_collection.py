"""How Python's garbage collector works in a process that serves: what is there once it has started is never looked at
again, and what comes later is looked at seldom.

Requests make few reference cycles, so most of what the collector finds is nothing; a full collection takes as long as
there are objects, and the event loop stands still meanwhile. Without this a router under load stopped for 50 to 80 ms
every few seconds.

Source: https://docs.python.org/3/library/gc.html#gc.freeze
"""

import gc

# A collection of the youngest for so many objects that stay, one of the middle ones for ten of these, and a full one
# for ten of those, at least. The defaults are 700, 10 and 10, and a request makes some hundred.
_THRESHOLDS = (20_000, 10, 10)


def settle() -> None:
    """Has the collector leave alone what a process has made before it serves: to be called once, before it does. What
    is garbage by then goes first, which is one long pause; what is frozen is freed once nothing refers to it."""
    gc.set_threshold(*_THRESHOLDS)
    gc.collect()
    gc.freeze()


def freeze() -> None:
    """The same for what was made since, without the pause: once a process serves. Not after each change of what it
    knows, since of the frozen nothing is freed that refers to itself."""
    gc.freeze()
