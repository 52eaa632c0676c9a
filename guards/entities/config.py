"""Configuration of guards that find entities: who is asked, in which languages, and what is done about what is
found."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from patchbay.core.names import meant
from patchbay.core.setting_faults import Fault
from patchbay.core.settings import Settings
from patchbay.guards.base_config import ActionName, GuardBase, MaskConfig
from patchbay.guards.entities.kinds import KINDS
from patchbay.guards.entities.named import KINDS_OF_LISTS

KindName = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,31}$")]
LanguageCode = Annotated[str, Field(pattern=r"^[a-z]{2}$")]


class InProcess(Settings):
    """Presidio's analyzer as a library of the router's own process, which the extra `presidio` brings. `models`: the
    model of spaCy's for each language, by its package's name or its folder."""

    models: dict[LanguageCode, str] = Field(min_length=1)


def _as_mapping(value: object) -> object:
    """Returns a list of kinds as a mapping to no action of their own."""
    if isinstance(value, list | tuple):
        return {kind: None for kind in value if isinstance(kind, str)}
    return value


KindActions = Annotated[
    dict[KindName, ActionName | None],
    BeforeValidator(_as_mapping, json_schema_input_type=dict[KindName, ActionName | None] | list[KindName]),
]


class EntitiesGuard(GuardBase):
    """Finds persons, places, dates, organisations and what else Presidio's analyzer knows.

    `url`: the address of its service, without `/analyze`; `in_process`: in place of that, the analyzer as a library;
    `model`: in place of both, an adapter on the engine that names persons and addresses (kinds PERSON and LOCATION);
    `languages`: those that texts are in: of several, the text's own where it can be told, and else the first;
    `kinds`: what is looked for, by Presidio's names, as a list or with an action each; `other_kinds`: names of kinds
    that your analyzer knows and Presidio does not; `min_score`: the lowest score, 0 to 1, that counts; `deadline_s`:
    the time limit of one answer, in seconds; `prompt_deadline_s`: that of all answers about one prompt; `on_error`:
    what happens where there is none by then; `hold_chars`: the most characters of an answer that wait for a sentence's
    end; `most_chars`: the most characters of a prompt that are asked about at a time; `mask`: how masks are made.
    """

    kind: Literal["entities"]
    url: str | None = Field(default=None, pattern=r"^https?://[^\s/]+[^\s]*$")
    in_process: InProcess | None = None
    model: str | None = Field(default=None, min_length=1)
    languages: tuple[LanguageCode, ...] = Field(default=("en",), min_length=1)
    kinds: KindActions = Field(default={"PERSON": None}, min_length=1)
    other_kinds: tuple[KindName, ...] = ()
    min_score: float = Field(default=0.5, ge=0, le=1)
    deadline_s: float = Field(default=2, gt=0)
    prompt_deadline_s: float = Field(default=20, gt=0)
    on_error: Literal["fail_closed", "fail_open"] = "fail_closed"
    hold_chars: int = Field(default=600, ge=300, le=4000)
    most_chars: int = Field(default=4000, ge=500, le=100_000)
    mask: MaskConfig = MaskConfig()

    @property
    def own_actions(self) -> AbstractSet[ActionName]:
        """The actions of the guard's kinds: their own, or the guard's."""
        return {self.action if action is None else action for action in self.kinds.values()}

    def actions_by_kind(self, action: ActionName, *, overridden: bool) -> Mapping[str, ActionName]:
        """Returns what is done about each kind. `action`: the guard's, for one tenant; `overridden`: whether it counts
        for kinds with an action of their own too, as a tenant's and a dry run's does."""
        return {kind: action if own is None or overridden else own for kind, own in self.kinds.items()}

    def _idle(self) -> Iterator[Fault]:
        yield from super()._idle()
        yield from self._asks_one()
        yield from self._kind_faults()
        if self.mask != MaskConfig() and "mask" not in self.actions_used:
            yield Fault(("mask",), "nothing is masked: it needs the action 'mask', here or for a tenant")

    def _asks_one(self) -> Iterator[Fault]:
        """Yields what is wrong with who is asked."""
        if sum(asked is not None for asked in (self.url, self.in_process, self.model)) != 1:
            yield Fault((), "say who is asked, and only one: `url` of Presidio's service, `in_process`, or `model`")
        if len(set(self.languages)) != len(self.languages):
            yield Fault(("languages",), "a language is named twice: leave one out")
        models = None if self.in_process is None else self.in_process.models
        for place, language in enumerate(self.languages):
            if models is not None and language not in models:
                yield Fault(
                    ("languages", place), f"`in_process.models` has no model for it ({meant(language, models)})"
                )

    def _kind_faults(self) -> Iterator[Fault]:
        """Yields what is wrong with kinds and with what is done about them."""
        for kind, action in self.kinds.items():
            if self.model is not None and kind not in KINDS_OF_LISTS.values():
                yield Fault(("kinds", kind), f"an adapter names {' and '.join(KINDS_OF_LISTS.values())} alone")
            if kind not in KINDS and kind not in self.other_kinds:
                words = (
                    f"Presidio knows no such kind ({meant(kind, KINDS)}); one of your own goes into `other_kinds`, too"
                )
                yield Fault(("kinds", kind), words)
            if action is not None:
                yield from self._idle_action(("kinds", kind), action)
        for place, kind in enumerate(self.other_kinds):
            if kind not in self.kinds:
                yield Fault(("other_kinds", place), "nothing looks for it: it goes into `kinds`, too")
        if "action" in self.model_fields_set and all(self.kinds.values()):
            yield Fault(("action",), "every kind has an action of its own: leave this one out")
