"""The settings of Python's garbage collector for a process that serves, so that its pauses stay short and rare.

Objects from before the start are never examined again, later ones seldom. Requests make few reference cycles, so most
collections find nothing. But a full collection takes time in proportion to the objects, and the event loop stands still
meanwhile. Without these settings, a router under load stopped for 50 to 80 ms every few seconds.

Source: https://docs.python.org/3/library/gc.html#gc.freeze
"""

import gc

# The youngest generation is collected after so many objects that stay, the middle one after ten such collections, and
# all objects after ten of those, at least. The defaults are 700, 10 and 10, and a request makes some hundred objects.
_THRESHOLDS = (20_000, 10, 10)


def settle() -> None:
    """Freezes all objects that a process made before it serves. Call it once, just before serving.

    Garbage is collected first, in one long pause. A frozen object is still freed once nothing refers to it.
    """
    gc.set_threshold(*_THRESHOLDS)
    gc.collect()
    gc.freeze()


def freeze() -> None:
    """Freezes all objects that were made since, without the pause. Call it once, when a process serves.

    Do not call it after each change of the process's state: frozen objects in a reference cycle are never freed.
    """
    gc.freeze()
