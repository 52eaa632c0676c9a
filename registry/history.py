"""The interpretation of a channel's history: the revision that a rollback goes to. Pure."""

from collections.abc import Iterable

from patchbay.registry.records import Move


def trail(moves: Iterable[Move]) -> list[int]:
    """Returns the revisions that a channel can go back through, the current one last. `moves`: the oldest first.

    A promotion adds a revision, a rollback removes the one that it left, and clearing removes all. So two rollbacks go
    two back, and none ever goes to a revision that was rolled back.
    """
    path: list[int] = []
    for move in moves:
        if move.after is None:
            path = []
        elif move.kind == "rollback" and move.after in path:
            while path[-1] != move.after:
                path.pop()
        elif not path or path[-1] != move.after:
            path.append(move.after)
    return path


def previous_of(moves: Iterable[Move], usable: Iterable[int]) -> int | None:
    """Returns the revision that a rollback goes to, of those that are still `usable`, or None."""
    allowed = set(usable)
    earlier = [number for number in trail(moves)[:-1] if number in allowed]
    return earlier[-1] if earlier else None
