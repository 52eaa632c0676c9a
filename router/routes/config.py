"""Configuration of routes: the keys `routes` and `auto`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PrivateAttr, field_validator, model_validator

from patchbay.core.names import meant
from patchbay.core.schema.compiled import Schema, SchemaError, compile_schema
from patchbay.core.setting_faults import Fault, glued_key, placed, placed_faults
from patchbay.core.settings import Settings
from patchbay.router.routes.pattern import compiled_pattern
from patchbay.router.routes.template import render, unknown_variables

AUTO = "auto"
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"


def _checked_pattern(value: str) -> str:
    compiled_pattern(value)
    return value


Name = Annotated[str, Field(pattern=_NAME)]
Pattern = Annotated[str, AfterValidator(_checked_pattern)]


class Sampling(Settings):
    """Sets decoding parameters. As `defaults` they apply where a request does not say; as `limits` each is the most
    that a request may ask for."""

    temperature: float | None = Field(default=None, ge=0)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=-1)
    max_tokens: int | None = Field(default=None, ge=1)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    seed: int | None = None


class TemplateMessage(Settings):
    """Adds a message before the client's own. `role`: its role; `content`: its text, in which `{{name}}` stands for a
    variable."""

    role: Literal["system", "developer", "user", "assistant"] = "system"
    content: str = Field(min_length=1)


class TemplateTest(Settings):
    """Tests a template when the configuration is read: with `variables`, the rendered text must have every text in
    `contains`."""

    variables: dict[str, Any] = Field(default_factory=dict)
    contains: tuple[str, ...] = Field(min_length=1)


class TemplateConfig(Settings):
    """Puts a prompt template before requests. `id` and `version` are sent in the header `x-patchbay-template`;
    `variables`: a JSON schema for the `variables` of a request, whose values are inserted as they are and only ever
    read as text; `tests`: examples that must hold."""

    id: Name
    version: int = Field(ge=1)
    messages: tuple[TemplateMessage, ...] = Field(min_length=1)
    variables: dict[str, Any] = Field(default_factory=lambda: {"type": "object", "additionalProperties": False})
    tests: tuple[TemplateTest, ...] = ()

    _compiled: Schema = PrivateAttr()

    @field_validator("variables")
    @classmethod
    def _is_an_object(cls, value: dict[str, Any]) -> dict[str, Any]:
        return {"type": "object", **value}

    @model_validator(mode="after")
    def _is_a_schema(self) -> Self:
        try:
            self._compiled = compile_schema(self.variables)
        except SchemaError as error:
            raise placed(("variables",), f"this JSON schema cannot be used: {error.message}") from error
        return self

    @property
    def compiled(self) -> Schema:
        """The schema of its variables."""
        return self._compiled

    @model_validator(mode="after")
    def _knows_its_variables(self) -> Self:
        faults = []
        for place, message in enumerate(self.messages):
            for name in unknown_variables(message.content, self.variables):
                known = meant(name, self.variables.get("properties") or ())
                words = f"there is no variable '{name}' under 'variables.properties' ({known})"
                faults.append(Fault(("messages", place, "content"), words))
        if faults:
            raise placed_faults(faults)
        return self

    @model_validator(mode="after")
    def _passes_its_tests(self) -> Self:
        faults = []
        for place, test in enumerate(self.tests):
            try:
                made = "\n".join(content for _, content in render(self, test.variables, ValueError))
            except ValueError as error:
                faults.append(Fault(("tests", place, "variables"), str(error)))
                continue
            lacks = [text for text in test.contains if text not in made]
            faults += [Fault(("tests", place, "contains"), f"the text that is made lacks '{text}'") for text in lacks]
        if faults:
            raise placed_faults(faults)
        return self


class ArmConfig(Settings):
    """Sends a part of a route's traffic to a model. `model`: an adapter, a revision or the base; `name`: the arm's in
    headers and metrics, by default the model; `weight`: its share, relative to the other arms'."""

    model: str = Field(min_length=1, max_length=200)
    weight: float = Field(default=1, ge=0)
    name: Name | None = None

    @property
    def label(self) -> str:
        """Its name."""
        return self.name or self.model


class ShadowConfig(Settings):
    """Copies a `share` of the route's requests to `model` as well, while fewer than `most` copies are under way and no
    request waits for a turn. The copies' answers are kept for comparison and never sent."""

    model: str = Field(min_length=1, max_length=200)
    share: float = Field(gt=0, le=1)
    most: int = Field(default=2, ge=1)


class CacheConfig(Settings):
    """Caches answers to deterministic requests (temperature 0, or with a seed). `ttl_s`: seconds for which they are
    used; `offline_s`: how many seconds longer, while no replica is up."""

    ttl_s: float = Field(default=600, gt=0)
    offline_s: float = Field(default=86_400, ge=0)


class RouteConfig(Settings):
    """Names a way to a model. `model`, or `split` for several by weight: an adapter, an exact revision or the base's
    name; `pool`: the only replicas to ask; `fallbacks`: models to try instead, in order, where it has no replica, is
    over a budget or takes longer than `timeout_s` to begin; `request_timeout_s`: the longest time of a whole answer;
    `tenants`: those that may call it, everyone where empty; `guards`: names of the guards that filter it;
    `requests_per_minute`: of all tenants together."""

    model: str | None = Field(default=None, min_length=1, max_length=200)
    split: tuple[ArmConfig, ...] = ()
    pool: Name | None = None
    defaults: Sampling = Sampling()
    limits: Sampling = Sampling()
    template: TemplateConfig | None = None
    guards: tuple[Name, ...] = ()
    fallbacks: tuple[str, ...] = ()
    timeout_s: float | None = Field(default=None, gt=0)
    request_timeout_s: float | None = Field(default=None, gt=0)
    requests_per_minute: int | None = Field(default=None, ge=1)
    tenants: tuple[Name, ...] = ()
    shadow: ShadowConfig | None = None
    cache: CacheConfig | None = None
    description: str = ""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.model is None) == (not self.split):
            raise ValueError("give either 'model' or 'split'")
        labels = [arm.label for arm in self.split]
        if len(set(labels)) < len(labels):
            raise ValueError("two arms have the same name: give each its own 'name'")
        if self.split and not any(arm.weight for arm in self.split):
            raise ValueError("all arms have the weight 0: give at least one a larger 'weight'")
        return self

    @property
    def arms(self) -> tuple[ArmConfig, ...]:
        """The arms; one where there is no split."""
        return self.split or (ArmConfig(model=self.model or ""),)


class RuleConfig(Settings):
    """Has `auto` take `route` where all of the rule's conditions hold. `header` and `metadata`: names with the values
    that they must have; `tools`: whether the request must have tools or none; `pattern`: a regular expression that the
    text must contain; `language`: ISO 639-1 codes, as py3langid recognises them; `shorter_than`, `longer_than`:
    characters of the text."""

    route: str
    header: dict[str, str] = Field(default_factory=dict)
    metadata: dict[str, str] = Field(default_factory=dict)
    tools: bool | None = None
    pattern: Pattern | None = None
    language: tuple[Annotated[str, Field(pattern="^[a-z]{2,3}$")], ...] = ()
    shorter_than: int | None = Field(default=None, ge=1)
    longer_than: int | None = Field(default=None, ge=0)

    @field_validator("language", mode="before")
    @classmethod
    def _one_is_enough(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set - {"route"}:
            raise ValueError("a rule without conditions would take all requests: make its route 'general' instead")
        return self


class AutoConfig(Settings):
    """Chooses a route for `model: auto`. `rules` are tried in order; then the text is compared with `examples` (texts
    by route, or files with one a line), and the most similar route is taken where its confidence is at least
    `confidence`, 0 to 1; else `general`."""

    general: str
    confidence: float = Field(default=0.6, ge=0, le=1)
    rules: tuple[RuleConfig, ...] = ()
    examples: dict[str, tuple[str, ...] | Path] = Field(default_factory=dict)


class RoutesConfig(Settings):
    """Holds `routes` and `auto`, a part of the configuration that a reload reads again."""

    routes: dict[Name, RouteConfig] = Field(default_factory=dict)
    auto: AutoConfig | None = None

    @field_validator("routes", mode="before")
    @classmethod
    def _model_is_enough(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        plain = {
            name
            for name, entry in value.items()
            if isinstance(entry, str) and glued_key(entry, RouteConfig.model_fields) is None
        }
        return {name: {"model": entry} if name in plain else entry for name, entry in value.items()}

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        if faults := list(self._unfit_names()):
            raise placed_faults(faults)
        return self

    def _unfit_names(self) -> Iterator[Fault]:
        if AUTO in self.routes:
            yield Fault(("routes", AUTO), f"a route cannot be called '{AUTO}', the name that chooses a route")
        for name, route in self.routes.items():
            for place, other in enumerate(route.fallbacks):
                if other == name:
                    yield Fault(("routes", name, "fallbacks", place), f"the route '{name}' falls back to itself")
        for keys, name in self._named_by_auto():
            if name not in self.routes:
                yield Fault(("auto", *keys), f"there is no route '{name}' under 'routes' ({meant(name, self.routes)})")

    def _named_by_auto(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        if self.auto is None:
            return
        yield ("general",), self.auto.general
        yield from ((("rules", place, "route"), rule.route) for place, rule in enumerate(self.auto.rules))
        yield from ((("examples", name), name) for name in self.auto.examples)
