"""Configuration of guards: the keys `guards` and `guard_all`."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from patchbay.core.errors import ConfigError
from patchbay.core.names import meant
from patchbay.core.schema.compiled import Schema, SchemaError, compile_schema
from patchbay.core.setting_faults import Fault, placed, placed_faults
from patchbay.core.settings import Settings
from patchbay.guards.base_config import ActionName, GuardBase, MaskConfig, Name, SideName
from patchbay.guards.entities.config import EntitiesGuard
from patchbay.guards.judges.config import GroundingGuard, HttpGuard, LlmGuard, PluginGuard, PresidioGuard
from patchbay.guards.rules.regions import DEFAULT_REGIONS

if TYPE_CHECKING:
    from patchbay.guards.rules.allowed import AllowedValues

_WHOLE_ANSWER: Final = "an answer is judged as a whole at its end, so there is nothing to redact and nowhere to go"
RuleSetName = Literal["pii", "secrets", "profanity", "urls", "dates"]


class OwnPattern(Settings):
    """A regular expression of your own. `examples`: texts in which it is found; `not`: texts in which it is not. Both
    are checked when the configuration is read."""

    pattern: str
    examples: tuple[str, ...] = ()
    others: tuple[str, ...] = Field(default=(), alias="not")


def _as_own_pattern(value: object) -> object:
    return {"pattern": value} if isinstance(value, str) else value


# A pattern, which may also be written as its expression alone.
PatternOrText = Annotated[OwnPattern, BeforeValidator(_as_own_pattern, json_schema_input_type=str | OwnPattern)]


class AllowConfig(Settings):
    """Names values that are left alone. `patterns`: regular expressions that fit the whole value, in any case;
    `hashes`: SHA-256 of values, in hexadecimal, as they are written or as their letters and digits alone; `domains`:
    your own, whose mail boxes and web addresses are allowed, and those below them."""

    patterns: tuple[str, ...] = ()
    hashes: tuple[Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")], ...] = ()
    domains: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _can_be_used(self) -> Self:
        try:
            _ = self.allowed
        except ConfigError as error:
            raise placed(("patterns",), str(error).rstrip(".")) from error
        return self

    @cached_property
    def allowed(self) -> "AllowedValues | None":
        """The values, compiled; None where there are none. RE2 is imported here, as only this needs it."""
        if not self.patterns and not self.hashes and not self.domains:
            return None
        from patchbay.guards.rules.allowed import AllowedValues

        return AllowedValues(patterns=self.patterns, hashes=self.hashes, domains=self.domains)


class BuiltInConfig(Settings):
    """Says what is otherwise for one built-in rule, or for a set of them. `action`: what happens to what it finds;
    `confidence`: the least confidence of its findings."""

    action: Literal["block", "redact", "mask", "flag"] | None = None
    confidence: float | None = Field(default=None, ge=0, le=1)


class RulesGuard(GuardBase):
    """Finds what rules and lists of words describe.

    `sets`: built-in sets of rules; `without`: built-in rules that are left out, by name; `patterns`: your own regular
    expressions by name, as text or with examples; `caseless`: whether those ignore case; `words`: denied words, or a
    file with one word a line; `mask`: how masks are made; `confidence`: the least confidence of built-in rules, 0 to 1:
    at 0.1 bare numbers count without a word that names them; `rules`: what is otherwise for a built-in rule or a set,
    by its name; `allow`: values that are left alone; `regions`: regions whose national telephone numbers are found, by
    ISO 3166.
    """

    kind: Literal["rules"]
    sets: tuple[RuleSetName, ...] = ()
    without: tuple[str, ...] = ()
    patterns: dict[Name, PatternOrText] = Field(default_factory=dict)
    caseless: bool = True
    words: tuple[str, ...] | Path = ()
    mask: MaskConfig = MaskConfig()
    confidence: float = Field(default=0.5, ge=0, le=1)
    rules: dict[str, BuiltInConfig] = Field(default_factory=dict)
    allow: AllowConfig = AllowConfig()
    regions: tuple[str, ...] = DEFAULT_REGIONS

    @property
    def own_actions(self) -> AbstractSet[ActionName]:
        """The guard's own action, where anything is left to it, and those of its rules and sets."""
        given = {rule.action for rule in self.rules.values() if rule.action is not None}
        by_set = [self.rules[name].action if name in self.rules else None for name in self.sets]
        is_left = bool(self.patterns or self.words) or None in by_set
        return given | {self.action} if is_left else given

    def _idle(self) -> Iterator[Fault]:
        yield from super()._idle()
        for name, rule in self.rules.items():
            if rule.action is not None:
                yield from self._idle_action(("rules", name, "action"), rule.action)
            if rule == BuiltInConfig():
                yield Fault(("rules", name), "says nothing: give it an `action` or a `confidence`")
        if self.mask != MaskConfig() and "mask" not in self.actions_used:
            yield Fault(("mask",), "nothing is masked: it needs the action 'mask', here or for a tenant")

    @model_validator(mode="after")
    def _looks_for_something(self) -> Self:
        if not self.sets and not self.patterns and not self.words:
            raise ValueError("say what is looked for: 'sets', 'patterns' or 'words'")
        return self


class InjectionGuard(GuardBase):
    """Scores prompts for injections and jailbreaks.

    `threshold`: the lowest score, 0 to 1, that counts as one in what users write; `document_threshold`: the same for
    documents and tools' results, which are longer and of anybody; `deadline_s`: the time limit of a request's check, in
    seconds, after which what was not scored counts as found (`INJECTION_UNCHECKED`).
    """

    sides: ClassVar[tuple[SideName, ...]] = ("input",)
    actions: ClassVar[tuple[ActionName, ...]] = ("block", "flag", "route")
    reason: ClassVar[str] = "a prompt is judged for injections, as a whole, so there is nothing to redact"
    kind: Literal["injection"]
    on: tuple[SideName, ...] = ("input",)
    threshold: float = Field(default=0.5, gt=0, lt=1)
    document_threshold: float = Field(default=0.8, gt=0, lt=1)
    deadline_s: float = Field(default=3, gt=0)

    def kind_of(self, score: float, *, is_document: bool, is_whole: bool) -> str | None:
        """Returns the kind of finding that a text with this score is; None for none."""
        if score >= (self.document_threshold if is_document else self.threshold):
            return "INJECTION"
        return None if is_whole else "INJECTION_UNCHECKED"


class LeakGuard(GuardBase):
    """Finds the request's own system prompt in its answer. `min_chars`: the number of letters and digits in a row that
    are a leak where the system prompt has the same."""

    sides: ClassVar[tuple[SideName, ...]] = ("output",)
    actions: ClassVar[tuple[ActionName, ...]] = ("block", "redact", "flag")
    reason: ClassVar[str] = "an answer is searched for the system prompt, and has begun by then"
    kind: Literal["system_prompt"]
    on: tuple[SideName, ...] = ("output",)
    min_chars: int = Field(default=40, ge=16, le=1000)


class SchemaGuard(GuardBase):
    """Checks that the whole answer is JSON that fits a schema.

    `schema`: that schema; without it, the one in the request's own `response_format`; `constrain`: whether the engine
    generates by `schema`, where a request asks for no other form; `repair`: whether fences, prose around the JSON and
    open brackets are repaired; `reask`: whether the model is asked once more for a chat's answer that still does not
    fit, with the errors; `reask_timeout_s`: the time limit of that, in seconds. An answer that does not fit after all
    of this is blocked or flagged.
    """

    sides: ClassVar[tuple[SideName, ...]] = ("output",)
    actions: ClassVar[tuple[ActionName, ...]] = ("block", "flag")
    reason: ClassVar[str] = _WHOLE_ANSWER
    kind: Literal["schema"]
    on: tuple[SideName, ...] = ("output",)
    action: ActionName = "flag"
    json_schema: dict[str, Any] = Field(default_factory=dict, alias="schema")
    constrain: bool = True
    repair: bool = True
    reask: bool = False
    reask_timeout_s: float = Field(default=20, gt=0)

    @model_validator(mode="after")
    def _is_a_schema(self) -> Self:
        try:
            _ = self.compiled
        except SchemaError as error:
            raise placed(("schema",), f"this is no JSON schema that can be used, {error.message}") from error
        return self

    # Not a private attribute: pydantic compares those with the guards, and one schema compiled twice is not equal.
    @cached_property
    def compiled(self) -> Schema | None:
        """The guard's own schema, compiled; None where it has none."""
        return compile_schema(self.json_schema) if self.json_schema else None


class RefusalGuard(GuardBase):
    """Counts answers that refuse what was asked."""

    sides: ClassVar[tuple[SideName, ...]] = ("output",)
    actions: ClassVar[tuple[ActionName, ...]] = ("block", "flag")
    reason: ClassVar[str] = _WHOLE_ANSWER
    kind: Literal["refusal"]
    on: tuple[SideName, ...] = ("output",)
    action: ActionName = "flag"


GuardConfig = Annotated[
    RulesGuard
    | InjectionGuard
    | LeakGuard
    | SchemaGuard
    | RefusalGuard
    | GroundingGuard
    | LlmGuard
    | HttpGuard
    | PresidioGuard
    | PluginGuard
    | EntitiesGuard,
    Field(discriminator="kind"),
]


def asked_model(guard: GuardConfig) -> str | None:
    """Returns the model on the engine that `guard` asks, None where it asks none."""
    if isinstance(guard, LlmGuard | GroundingGuard):
        return guard.model if guard.asks else None
    return guard.model if isinstance(guard, EntitiesGuard) else None


class GuardsConfig(Settings):
    """The guards of a configuration. `guards`: by name; `guard_all`: the guards that look at every request, whichever
    route or model it is for."""

    guards: dict[Name, GuardConfig] = Field(default_factory=dict)
    guard_all: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _all_are_known(self) -> Self:
        unknown = [(place, name) for place, name in enumerate(self.guard_all) if name not in self.guards]
        if unknown:
            words = "there is no guard '{}' under 'guards' ({})"
            raise placed_faults(
                [Fault(("guard_all", place), words.format(name, meant(name, self.guards))) for place, name in unknown]
            )
        return self
