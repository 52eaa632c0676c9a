"""The routes, compiled, and how a request finds its own. Immutable: a change of the configuration makes a new one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from patchbay.core.errors import ConfigError, ModelNotFound
from patchbay.router.routes.config import AUTO, AutoConfig, RouteConfig, RoutesConfig
from patchbay.router.routes.facts import RequestFacts
from patchbay.router.routes.rules import RouteRule
from patchbay.router.routes.split import choose

if TYPE_CHECKING:
    from patchbay.router.routes.classifier import Classifier, Guess


Opens = Callable[[str], bool]


def _everything(_name: str) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a request is to get. `route`: its name, or the client's own word where that is no route; `model`: the
    adapter, revision or base; `arm`: the split's arm, None where there is no split; `why`: in words, each step;
    `pool`: the only replicas to ask, where that is not the route's to say."""

    route: str
    model: str
    config: RouteConfig | None = None
    arm: str | None = None
    why: tuple[str, ...] = ()
    pool: str | None = None


class RouteTable:
    """Made by `compile_table`."""

    def __init__(self, config: RoutesConfig, auto: "Auto | None") -> None:
        self._config = config
        self.auto = auto

    @property
    def routes(self) -> Mapping[str, RouteConfig]:
        """The routes, by name."""
        return self._config.routes

    def knows(self, model: str) -> bool:
        """Whether `model` is a route, or `auto`."""
        return model in self._config.routes or (model == AUTO and self.auto is not None)

    def choose(self, model: str, facts: RequestFacts, opens: Opens = _everything) -> Choice:
        """What a request for `model`, which is a route or `auto`, gets. `opens`: whether its client may call a route of
        that name; `auto` knows of no others. Raises ModelNotFound where none is left."""
        if model == AUTO and self.auto is not None:
            route, why = self.auto.route(facts, opens)
            return self._routed(route, facts, (why,))
        return self._routed(model, facts, (f"the request names the route {model}",))

    def _routed(self, name: str, facts: RequestFacts, why: tuple[str, ...]) -> Choice:
        config = self._config.routes[name]
        arms = config.arms
        if len(arms) == 1:
            return Choice(route=name, model=arms[0].model, config=config, arm=arms[0].name, why=why)
        arm = arms[choose([(one.label, one.weight) for one in arms], name, facts.caller)]
        kind = facts.caller.partition(b":")[0].decode()
        share = arm.weight / sum(one.weight for one in arms)
        return Choice(
            route=name,
            model=arm.model,
            config=config,
            arm=arm.label,
            why=(*why, f"arm {arm.label} ({share:.1%}) by its {kind}"),
        )


class Auto:
    """How `auto` finds a route."""

    def __init__(self, config: AutoConfig, rules: Sequence[RouteRule], classifier: "Classifier | None") -> None:
        self._config = config
        self._rules = rules
        self._classifier = classifier

    @property
    def general(self) -> str:
        """The route for what no rule and no example fits."""
        return self._config.general

    def route(self, facts: RequestFacts, opens: Opens = _everything) -> tuple[str, str]:
        """The route's name, of those that `opens` tells, and why it is that one. Raises ModelNotFound where none is."""
        for number, rule in enumerate((rule for rule in self._rules if opens(rule.route)), 1):
            if (why := rule.why(facts)) is not None:
                return rule.route, f"rule {number}: {why}"
        guess = self.guess(facts)
        scores = [one for one in guess.scores if opens(one[0])] if guess is not None else []
        ranking = ", ".join(f"{task} {score:.3f}" for task, score in scores[:3])
        if scores and scores[0][1] >= self._config.confidence:
            return scores[0][0], f"the text is like {scores[0][0]} ({ranking})"
        if not opens(self.general):
            raise ModelNotFound(AUTO)
        if not scores:
            return self.general, "no rule fits, and there are no examples"
        return self.general, f"the text is like no task by {self._config.confidence:g} or more ({ranking})"

    def guess(self, facts: RequestFacts) -> "Guess | None":
        """What the classifier alone says, None where there is none, or nothing to read."""
        text = f"{facts.context}\n{facts.text}" if facts.context else facts.text
        return self._classifier.guess(text) if self._classifier is not None and text.strip() else None


def compile_table(config: RoutesConfig, folder: Path | None = None) -> RouteTable:
    """The book of `config`; trains the classifier, which takes a second or two. `folder`: what files of examples are
    relative to. Raises ConfigError."""
    if config.auto is None:
        return RouteTable(config, None)
    speaks = language_of if any(rule.language for rule in config.auto.rules) else _unknown
    rules = [RouteRule(rule, speaks) for rule in config.auto.rules]
    examples = {name: _texts(name, given, folder) for name, given in config.auto.examples.items()}
    classifier = _trained(examples) if examples else None
    if speaks is language_of:
        language_of("ready")
    return RouteTable(config, Auto(config.auto, rules, classifier))


def _trained(examples: Mapping[str, Sequence[str]]) -> "Classifier":
    # It needs numpy and scikit-learn, which a router without examples can do without.
    from patchbay.router.routes.classifier import Classifier

    made = Classifier.train(examples)
    # What is done once is done now, and not at the first request.
    made.guess("ready")
    return made


def _texts(route: str, given: Sequence[str] | Path, folder: Path | None) -> Sequence[str]:
    if not isinstance(given, Path):
        return given
    path = (folder or Path.cwd()) / given.expanduser()
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"auto.examples.{route}: cannot read {path}: {error}") from error


def _unknown(text: str) -> str:
    return ""


def language_of(text: str) -> str:
    """The language of a text, as ISO 639-1 has it."""
    import py3langid

    return str(py3langid.classify(text)[0])
