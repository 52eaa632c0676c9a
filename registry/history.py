"""What a channel's history means. Pure."""

from collections.abc import Iterable

from patchbay.registry.records import Move


def trail(moves: Iterable[Move]) -> list[int]:
    """The revisions that a channel can go back through, the current one last, from its `moves`, the oldest first.

    A promotion adds one, a rollback takes away what it left, and clearing empties it. So two rollbacks go two back, and
    none ever goes to what was rolled back from.
    """
    found: list[int] = []
    for move in moves:
        if move.after is None:
            found = []
        elif move.kind == "rollback" and move.after in found:
            while found[-1] != move.after:
                found.pop()
        elif not found or found[-1] != move.after:
            found.append(move.after)
    return found


def previous_of(moves: Iterable[Move], usable: Iterable[int]) -> int | None:
    """The revision that a rollback goes to, of those that are `usable` still, or None."""
    allowed = set(usable)
    earlier = [number for number in trail(moves)[:-1] if number in allowed]
    return earlier[-1] if earlier else None
