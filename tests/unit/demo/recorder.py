"""A progress sink that remembers what it was told."""


class Recorder:
    """Stages with their totals, and how far each came."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int]] = []
        self.done: dict[str, int] = {}

    def start(self, stage: str, total: int) -> None:
        self.stages.append((stage, total))
        self.done[stage] = 0

    def advance(self, count: int = 1, *, note: str = "") -> None:
        self.done[self.stages[-1][0]] += count
