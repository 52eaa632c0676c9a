"""Searches for entities, made of what guards are configured to look for."""

import math
from typing import Final

from patchbay.guards.entities.adapter_finder import AdapterFinder
from patchbay.guards.entities.config import EntitiesGuard
from patchbay.guards.entities.language import Languages
from patchbay.guards.entities.presidio_library import PresidioLibrary
from patchbay.guards.entities.presidio_service import PresidioService
from patchbay.guards.entities.questions import Questions
from patchbay.guards.part import Part
from patchbay.guards.stream.entity_watch import EntitySearch
from patchbay.guards.verdict import Side

# Models in this process take turns with the event loop, and more of them at a time do no more.
_LIBRARY_AT_A_TIME: Final = 2
# Characters of one question to them: longer ones keep Python's lock for more than 20 ms.
_LIBRARY_CHARS: Final = 1000


def questions_of(config: EntitiesGuard) -> Questions:
    """Returns who is asked for a guard, and by what rules. Nothing is opened or loaded before the first question."""
    languages, library = Languages(config.languages), config.in_process
    if config.model is not None:
        return Questions(AdapterFinder(config.model), languages, config.deadline_s)
    if library is None:
        return Questions(PresidioService(config), languages, config.deadline_s)
    finder = PresidioLibrary(config, library)
    return Questions(finder, languages, config.deadline_s, at_a_time=_LIBRARY_AT_A_TIME)


def search_of(part: Part, config: EntitiesGuard, questions: Questions, side: Side) -> EntitySearch:
    """Returns the search of a guard, as it is for one tenant, on `side`. `config`: the guard's; `questions`: asks."""
    most = config.hold_chars if side == "output" else config.most_chars
    return EntitySearch(
        guard=part.name,
        questions=questions,
        actions=config.actions_by_kind(part.action, overridden=part.overridden),
        min_score=config.min_score,
        closed=config.on_error == "fail_closed" and not part.dry_run,
        most=most if config.in_process is None else min(most, _LIBRARY_CHARS),
        sentences=side == "output",
        within_s=math.inf if side == "output" else config.prompt_deadline_s,
    )
