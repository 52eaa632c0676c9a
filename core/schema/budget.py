"""The work that holding a value to a schema may take, in steps of about a microsecond."""

from patchbay.core.errors import PatchbayError


class BudgetSpent(PatchbayError):
    """A value could not be held to its schema within the work that this may take."""


class StepBudget:
    """`left`: steps."""

    __slots__ = ("left",)

    def __init__(self, steps: int) -> None:
        self.left = steps

    def spend(self, steps: int = 1) -> None:
        """Takes `steps`. Raises BudgetSpent where there are not so many left, and has none from then on."""
        self.left -= steps
        if self.left < 0:
            self.left = -1
            raise BudgetSpent("holding the answer to the schema takes too long")
