"""No turn of an event loop may take long."""

from tests.fakes.turns import quick_turns

__all__ = ["quick_turns"]
