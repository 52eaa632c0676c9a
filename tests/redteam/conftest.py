"""No turn of an event loop may take long."""

from tests.fakes.turns import frozen_heap, quick_turns

__all__ = ["frozen_heap", "quick_turns"]
