"""The step budget: a limit for the work of checking values by a schema, in steps of about a microsecond."""

from patchbay.core.errors import PatchbayError


class BudgetSpent(PatchbayError):
    """Raised where a value cannot be checked by its schema within the budget."""


class StepBudget:
    """Counts down the steps that a check may take. `left`: the steps left, -1 once it is spent."""

    __slots__ = ("left",)

    def __init__(self, steps: int) -> None:
        self.left = steps

    def spend(self, steps: int = 1) -> None:
        """Takes `steps` from the budget. Raises BudgetSpent where fewer are left, and at every later call too."""
        self.left -= steps
        if self.left < 0:
            self.left = -1
            raise BudgetSpent("holding the answer to the schema takes too long")
