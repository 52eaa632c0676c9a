"""The compiled routes: finds a request's route. Immutable: a change of the configuration makes a new table."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from patchbay.core.errors import ModelNotFound
from patchbay.router.routes.config import AUTO, AutoConfig, RouteConfig, RoutesConfig
from patchbay.router.routes.examples import texts_of
from patchbay.router.routes.facts import RequestFacts
from patchbay.router.routes.rules import RouteRule
from patchbay.router.routes.split import choose

if TYPE_CHECKING:
    from patchbay.router.routes.classifier import Classifier, Guess


Opens = Callable[[str], bool]


def _everything(_name: str) -> bool:
    return True


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """The choice for a request.

    `route`: the route's name, or the client's own model name where it is no route; `model`: the adapter, revision or
    base; `config`: the route's; `arm`: the split's arm, None without a split; `why`: each step as text; `pool`: the
    only replicas to ask, where something else than the route limits them.
    """

    route: str
    model: str
    config: RouteConfig | None = None
    arm: str | None = None
    why: tuple[str, ...] = ()
    pool: str | None = None


class RouteTable:
    """Finds the route of a request, and its arm. It is made by `compile_table`."""

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
        """Returns the choice for a request for `model`, which is a route or `auto`.

        `facts`: the request's; `opens`: whether its client may call a route of that name: `auto` chooses no others.
        Raises ModelNotFound where none is left.
        """
        if model == AUTO and self.auto is not None:
            route, why = self.auto.route(facts, opens)
            return self._routed(route, facts, (why,))
        return self._routed(model, facts, (f"the request names the route {model}",))

    def _routed(self, name: str, facts: RequestFacts, why: tuple[str, ...]) -> Choice:
        config = self._config.routes[name]
        arms = config.arms
        if len(arms) == 1:
            return Choice(route=name, model=arms[0].model, config=config, arm=arms[0].name, why=why)
        arm = arms[choose([(each.label, each.weight) for each in arms], name, facts.caller)]
        kind = facts.caller.partition(b":")[0].decode()
        share = arm.weight / sum(each.weight for each in arms)
        return Choice(
            route=name,
            model=arm.model,
            config=config,
            arm=arm.label,
            why=(*why, f"arm {arm.label} ({share:.1%}) by its {kind}"),
        )


class Auto:
    """Chooses the route for `auto`: by rules, then by the classifier."""

    def __init__(self, config: AutoConfig, rules: Sequence[RouteRule], classifier: "Classifier | None") -> None:
        self._config = config
        self._rules = rules
        self._classifier = classifier

    @property
    def general(self) -> str:
        """The route for requests that no rule and no example fits."""
        return self._config.general

    def route(self, facts: RequestFacts, opens: Opens = _everything) -> tuple[str, str]:
        """Returns the name of the route, and the reason.

        `opens`: whether the client may call a route of that name: no others are chosen. Raises ModelNotFound where none
        is left.
        """
        for number, rule in enumerate((rule for rule in self._rules if opens(rule.route)), 1):
            if (why := rule.why(facts)) is not None:
                return rule.route, f"rule {number}: {why}"
        guess = self.guess(facts)
        scores = [(task, score) for task, score in guess.scores if opens(task)] if guess is not None else []
        ranking = ", ".join(f"{task} {score:.3f}" for task, score in scores[:3])
        if scores and scores[0][1] >= self._config.confidence:
            return scores[0][0], f"the text is like {scores[0][0]} ({ranking})"
        if not opens(self.general):
            raise ModelNotFound(AUTO)
        if not scores:
            return self.general, "no rule fits, and there are no examples"
        return self.general, f"the text is like no task by {self._config.confidence:g} or more ({ranking})"

    def guess(self, facts: RequestFacts) -> "Guess | None":
        """Returns the classifier's guess, None where there is no classifier, or no text."""
        text = f"{facts.context}\n{facts.text}" if facts.context else facts.text
        return self._classifier.guess(text) if self._classifier is not None and text.strip() else None


def compile_table(config: RoutesConfig, folder: Path | None = None) -> RouteTable:
    """Compiles the table of `config`; trains the classifier, which takes a second or two.

    `folder`: the folder that files of examples are relative to. Raises ConfigError.
    """
    if config.auto is None:
        return RouteTable(config, None)
    speaks = language_of if any(rule.language for rule in config.auto.rules) else _unknown
    rules = [RouteRule(rule, speaks) for rule in config.auto.rules]
    examples = {name: texts_of(name, given, folder) for name, given in config.auto.examples.items()}
    classifier = _trained(examples) if examples else None
    if speaks is language_of:
        language_of("ready")
    return RouteTable(config, Auto(config.auto, rules, classifier))


def _trained(examples: Mapping[str, Sequence[str]]) -> "Classifier":
    # Imported here: it needs numpy and scikit-learn, which a router without examples can do without.
    from patchbay.router.routes.classifier import Classifier

    made = Classifier.train(examples)
    # The first guess is slow, so it is made now, and not for the first request.
    made.guess("ready")
    return made


def _unknown(text: str) -> str:
    return ""


def language_of(text: str) -> str:
    """Returns the language of a text, as an ISO 639-1 code."""
    import py3langid

    return str(py3langid.classify(text)[0])
