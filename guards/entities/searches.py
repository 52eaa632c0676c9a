"""Searches for entities, made of what guards are configured to look for."""

import math

from patchbay.guards.entities.config import EntitiesGuard
from patchbay.guards.entities.language import Languages
from patchbay.guards.entities.presidio_library import PresidioLibrary
from patchbay.guards.entities.presidio_service import PresidioService
from patchbay.guards.entities.questions import Questions
from patchbay.guards.part import Part
from patchbay.guards.stream.entity_watch import EntitySearch
from patchbay.guards.verdict import Side


def questions_of(config: EntitiesGuard) -> Questions:
    """Returns who is asked for a guard, and by what rules. Nothing is opened or loaded before the first question."""
    library = config.in_process
    finder = PresidioLibrary(config, library) if library is not None else PresidioService(config)
    return Questions(finder, Languages(config.languages), config.deadline_s)


def search_of(part: Part, config: EntitiesGuard, questions: Questions, side: Side) -> EntitySearch:
    """Returns the search of a guard, as it is for one tenant, on `side`. `config`: the guard's; `questions`: asks."""
    return EntitySearch(
        guard=part.name,
        questions=questions,
        actions=config.actions_by_kind(part.action, overridden=part.overridden),
        min_score=config.min_score,
        closed=config.on_error == "fail_closed" and not part.dry_run,
        most=config.hold_chars if side == "output" else config.most_chars,
        sentences=side == "output",
        within_s=math.inf if side == "output" else config.prompt_deadline_s,
    )
