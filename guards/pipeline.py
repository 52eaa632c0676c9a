"""Compiled guards: the pipeline that looks at a request and its answer, for one route and tenant.

All of it is immutable: another configuration makes another.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from patchbay.core.errors import ConfigError
from patchbay.core.names import meant
from patchbay.guards.check import actions_of, guard_faults, rules_of, words_of
from patchbay.guards.config import (
    GuardsConfig,
    InjectionGuard,
    LeakGuard,
    RefusalGuard,
    RulesGuard,
    SchemaGuard,
)
from patchbay.guards.entities.adapter_finder import AskBlocking
from patchbay.guards.entities.config import EntitiesGuard
from patchbay.guards.entities.searches import questions_of, search_of
from patchbay.guards.escapes import Escapes
from patchbay.guards.folding import fold
from patchbay.guards.judges.config import GroundingGuard, JudgeGuard
from patchbay.guards.judges.panel import AskedJudge
from patchbay.guards.part import Part, part_of
from patchbay.guards.prompts import DOCUMENT_ROLES, texts_in
from patchbay.guards.rules.rule import Rule
from patchbay.guards.scan.load import load_scanner
from patchbay.guards.scan.scanner import Scanner
from patchbay.guards.stream.automaton_cache import AutomatonCache
from patchbay.guards.stream.broken_watch import BrokenWatch, may_be_broken
from patchbay.guards.stream.encoded_watch import EncodedWatch, may_be_encoded
from patchbay.guards.stream.entity_watch import EntitySearch, EntityWatch
from patchbay.guards.stream.escaped_watch import EscapedWatch
from patchbay.guards.stream.leak_watch import LeakWatch, SuffixAutomaton
from patchbay.guards.stream.rules_watch import GuardRule, RuleSet, RulesWatch
from patchbay.guards.stream.watch import TextWatch
from patchbay.guards.stream.words_watch import Words, WordsWatch
from patchbay.guards.verdict import Action, FoundSpan, Side

if TYPE_CHECKING:
    from patchbay.guards.injection.classifier import InjectionClassifier

# By how much an action does: of two guards with one rule, the stronger action wins.
_STRENGTH: Mapping[Action, int] = {"flag": 0, "mask": 1, "redact": 2, "route": 3, "block": 4}


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """The guards of one route for one tenant.

    `parts`: the guards; `rules`, `words`, `entities`: what they look for, by side; `classifier`: set where a guard
    looks for injections; `automata`: of the system prompts that guards protect, shared by all pipelines.
    """

    parts: tuple[Part, ...]
    rules: Mapping[Side, RuleSet | None]
    words: Mapping[Side, Sequence[tuple[Words, Part]]]
    entities: Mapping[Side, Sequence[EntitySearch]]
    classifier: "InjectionClassifier | None"
    automata: AutomatonCache

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the guards."""
        return tuple(part.name for part in self.parts)

    def parts_on(self, side: Side) -> Sequence[Part]:
        """Returns the guards that look at `side`."""
        return [part for part in self.parts if side in part.config.on]

    @cached_property
    def dry(self) -> frozenset[str]:
        """The names of the guards in a dry run."""
        return frozenset(part.name for part in self.parts if part.dry_run)

    @cached_property
    def routes(self) -> Mapping[str, str]:
        """The routes that guards may send requests to, by guard."""
        return {part.name: part.config.route for part in self.parts if part.config.route is not None}

    @cached_property
    def stable_masks(self) -> Sequence[str]:
        """The guards whose masks are the same in a whole session."""
        return [
            part.name
            for part in self.parts
            if isinstance(part.config, RulesGuard | EntitiesGuard)
            and part.config.mask.stable == "session"
            and "mask" in part.actions
        ]

    @cached_property
    def leaks(self) -> Sequence[tuple[Part, LeakGuard]]:
        """The guards that look for a leaked system prompt."""
        return [(part, part.config) for part in self.parts if isinstance(part.config, LeakGuard)]

    @cached_property
    def injections(self) -> Sequence[tuple[Part, InjectionGuard]]:
        """The guards that look for injections."""
        return [(part, part.config) for part in self.parts if isinstance(part.config, InjectionGuard)]

    @cached_property
    def finals(self) -> Sequence[Part]:
        """The guards that judge an answer once it is whole."""
        return [
            part
            for part in self.parts
            if isinstance(part.config, SchemaGuard | RefusalGuard)
            or (isinstance(part.config, GroundingGuard) and not part.config.asks)
        ]

    @cached_property
    def asked(self) -> Mapping[Side, Sequence[AskedJudge]]:
        """The judges that are asked, by side."""
        sides: tuple[Side, ...] = ("input", "output")
        return {
            side: [
                AskedJudge(part.name, part.config, part.action, part.dry_run)
                for part in self.parts
                if isinstance(part.config, JudgeGuard) and part.config.asks and side in part.config.on
            ]
            for side in sides
        }

    @cached_property
    def looks_at_answers(self) -> bool:
        """Whether any guard looks at answers."""
        on_output = self.rules["output"] or self.words["output"] or self.entities["output"] or self.asked["output"]
        return bool(on_output or self.leaks or self.finals)

    def asks_in(self, side: Side) -> bool:
        """Whether a look at a text on `side` waits for a finder of entities, so that even a short one takes long."""
        return bool(self.entities[side])

    def waits_by(self, waiting: Callable[[], AbstractContextManager[None]]) -> "Pipeline":
        """Returns the same pipeline, whose finders are waited for in a block that `waiting` makes."""
        return self._searching(lambda search: replace(search, waiting=waiting))

    def asks_by(self, by: AskBlocking) -> "Pipeline":
        """Returns the same pipeline, whose finders that are adapters are asked by `by`."""
        return self._searching(lambda search: replace(search, by=by))

    def _searching(self, change: Callable[[EntitySearch], EntitySearch]) -> "Pipeline":
        if not self.asks_in("input") and not self.asks_in("output"):
            return self
        searches = {side: [change(search) for search in found] for side, found in self.entities.items()}
        return replace(self, entities=searches)

    def asked_ahead(self, endpoint: str, fields: Mapping[str, Any]) -> "Pipeline":
        """Has finders look at all texts of a request to `endpoint`, many at a time, and returns the pipeline to look at
        each with. It blocks. Raises GuardFailed where there are no answers, and the guard needs them."""
        texts = texts_in(endpoint, fields)
        searches = [search.asked_ahead(texts) for search in self.entities["input"]]
        return replace(self, entities={**self.entities, "input": searches})

    def judged(self, text: str, role: str = "user", elapsed_s: Callable[[], float] = lambda: 0.0) -> list[FoundSpan]:
        """Returns the injections that a prompt's text is taken for; each span covers the whole text.

        `role`: whose text it is; `elapsed_s`: returns the seconds that the request's check has taken so far. A text
        that could not be scored whole before the guard's deadline counts as `INJECTION_UNCHECKED`.
        """
        if self.classifier is None or not self.injections:
            return []
        deadline = max(guard.deadline_s for _, guard in self.injections)
        judgement = self.classifier.judge(text, lambda: elapsed_s() < deadline)
        spans = []
        for part, guard in self.injections:
            is_document = role in DOCUMENT_ROLES
            score = judgement.document_score if is_document else judgement.score
            kind = guard.kind_of(score, is_document=is_document, is_whole=judgement.is_whole)
            if kind is not None:
                spans.append(
                    FoundSpan(start=0, end=len(text), guard=part.name, rule="injection", kind=kind, action=part.action)
                )
        return spans

    def has_patterns(self, side: Side) -> bool:
        """Whether any guard looks for rules or denied words on `side`."""
        return self.rules[side] is not None or bool(self.words[side])

    def may_match(self, side: Side, text: str) -> bool:
        """Whether a rule may match in `text`, which is not inside JSON, or a denied word does. Much cheaper than
        `watches`, and without regard to validators; what is encoded may be anything."""
        if may_be_encoded(text) or may_be_broken(text) or Escapes(in_json=False).may_begin_in(text):
            return True
        rules = self.rules[side]
        if rules is not None and rules.may_match(fold(text)):
            return True
        watches = (WordsWatch(words, part.name, part.action) for words, part in self.words[side])
        return any(watch.feed(text).spans or watch.finish().spans for watch in watches)

    def watches(
        self, side: Side, system_prompt: SuffixAutomaton | None, *, escaped: bool, lead: str = ""
    ) -> list[TextWatch]:
        """Returns new detectors for one text. `system_prompt`: its automaton, where a guard protects it; `escaped`:
        whether the text is inside JSON; `lead`: what stands before it, such as the key of a value. Those of `entities`
        block."""
        watches = self._plain_watches(side, escaped=escaped, lead=lead)
        if watches:
            watches += self._decoding_watches(lambda: self._within_encoded(side))
        watches += [EntityWatch(search, escaped=escaped) for search in self.entities[side]]
        if side == "output" and system_prompt is not None:
            watches += [LeakWatch(system_prompt, leak.min_chars, part.name, part.action) for part, leak in self.leaks]
        return watches

    def _within_encoded(self, side: Side) -> list[TextWatch]:
        """Returns what looks at a decoded text: it may be an encoding once more, and no further."""
        return [
            *self._plain_watches(side, escaped=False),
            *self._decoding_watches(lambda: self._plain_watches(side, escaped=False)),
        ]

    @staticmethod
    def _decoding_watches(make: Callable[[], Sequence[TextWatch]]) -> list[TextWatch]:
        return [EncodedWatch(make), BrokenWatch(make)]

    def _plain_watches(self, side: Side, *, escaped: bool, lead: str = "") -> list[TextWatch]:
        watches: list[TextWatch] = []
        rules = self.rules[side]
        if rules is not None:
            watches.append(EscapedWatch(RulesWatch(rules, escaped=escaped, lead=lead), escaped=escaped))
        watches += [
            EscapedWatch(WordsWatch(words, part.name, part.action, escaped=escaped), escaped=escaped)
            for words, part in self.words[side]
        ]
        return watches


class Guards:
    """The guards of one configuration, compiled, with their pipelines by route and tenant.

    Made by `compile_guards`. `scanner`: compiles rules; `folder`: what files in the configuration are relative to.
    """

    def __init__(self, config: GuardsConfig, scanner: Callable[[Sequence[Rule]], Scanner], folder: Path | None) -> None:
        self._config = config
        self._for_all = tuple(dict.fromkeys(config.guard_all))
        self._scanner = scanner
        self._rules = {name: rules_of(name, guard) for name, guard in config.guards.items()}
        self._actions = {name: actions_of(guard) for name, guard in config.guards.items()}
        self._words = {name: words for name, guard in config.guards.items() if (words := words_of(name, guard, folder))}
        injection = any(isinstance(guard, InjectionGuard) for guard in config.guards.values())
        self._classifier = _classifier() if injection else None
        self._questions = {
            name: questions_of(guard) for name, guard in config.guards.items() if isinstance(guard, EntitiesGuard)
        }
        self._automata = AutomatonCache()
        self._scanners: dict[tuple[tuple[str, str], ...], Scanner] = {}
        self._pipelines: dict[tuple[tuple[str, ...], str], Pipeline] = {}
        # Only tenants that some guard names need pipelines of their own; all others share one.
        self._tenants = {tenant for guard in config.guards.values() for tenant in guard.tenants}

    @property
    def rules(self) -> Mapping[str, Sequence[Rule]]:
        """The rules of each guard, by the guard's name."""
        return self._rules

    @property
    def judges(self) -> Sequence[JudgeGuard]:
        """The guards that ask a judge."""
        return [guard for guard in self._config.guards.values() if isinstance(guard, JudgeGuard) and guard.asks]

    def actions(self, part: Part) -> Mapping[str, Action]:
        """Returns what a part of a pipeline does about each of its rules, by the rule's name."""
        given = {} if part.overridden else self._actions[part.name]
        return {rule.name: given.get(rule.name, part.action) for rule in self._rules[part.name]}

    def names(self, route: Collection[str]) -> tuple[str, ...]:
        """Returns the guards of a route that names `route`, those for all routes first, each once."""
        if not route:
            return self._for_all
        return tuple(dict.fromkeys((*self._config.guard_all, *route)))

    def pipeline(self, route: Sequence[str], tenant: str) -> Pipeline | None:
        """Returns the guards for a request of `tenant`; None where there are none. `route`: the guards that its route
        names."""
        names = self.names(route)
        if not names:
            return None
        key = (names, tenant if tenant in self._tenants else "")
        pipeline = self._pipelines.get(key)
        if pipeline is None:
            pipeline = self._pipelines[key] = self._make(*key)
        return pipeline

    def _make(self, names: tuple[str, ...], tenant: str) -> Pipeline:
        parts = [part for name in names if (part := part_of(name, self._config.guards[name], tenant)) is not None]
        sides: tuple[Side, ...] = ("input", "output")
        rules = {side: self._rule_set([part for part in parts if side in part.config.on]) for side in sides}
        words: dict[Side, Sequence[tuple[Words, Part]]] = {
            side: [(self._words[p.name], p) for p in parts if p.name in self._words and side in p.config.on]
            for side in sides
        }
        return Pipeline(
            parts=tuple(parts),
            rules=rules,
            words=words,
            entities={side: self._searches(parts, side) for side in sides},
            classifier=self._classifier,
            automata=self._automata,
        )

    def _searches(self, parts: Sequence[Part], side: Side) -> Sequence[EntitySearch]:
        return [
            search_of(part, part.config, self._questions[part.name], side)
            for part in parts
            if isinstance(part.config, EntitiesGuard) and side in part.config.on
        ]

    def _rule_set(self, parts: Sequence[Part]) -> RuleSet | None:
        rules: dict[str, GuardRule] = {}
        for part in parts:
            actions = self.actions(part)
            allowed = part.config.allow.allowed if isinstance(part.config, RulesGuard) else None
            for rule in self._rules[part.name]:
                action = actions[rule.name]
                # A rule that several guards name belongs to the one whose action is the strongest.
                known = rules.get(rule.name)
                if known is None or _STRENGTH[action] > _STRENGTH[known.action]:
                    rules[rule.name] = GuardRule(rule, part.name, action, allowed)
        if not rules:
            return None
        key = tuple((name, guard_rule.rule.pattern) for name, guard_rule in rules.items())
        if key not in self._scanners:
            self._scanners[key] = self._scanner([guard_rule.rule for guard_rule in rules.values()])
        return RuleSet(list(rules.values()), self._scanners[key])


def compile_guards(
    config: GuardsConfig, routes: Iterable[Sequence[str]], cache: Path | None, folder: Path | None
) -> Guards:
    """Compiles the guards of a configuration, and the pipelines of `routes` with them.

    `routes`: the guards that each route names; `cache`: the folder of compiled rules, None to keep none; `folder`: what
    files in the configuration are relative to. Raises ConfigError with the name of the guard or rule that is wrong.
    """
    # Also of guards that no route uses: what is wrong is an error at the start, and not at the first request.
    if faults := list(guard_faults(config, folder)):
        raise ConfigError(f"{'; '.join(map(str, faults))}.")
    guards = Guards(config, lambda rules: load_scanner(rules, cache), folder)
    for names in ((), *routes):
        for name in names:
            if name not in config.guards:
                raise ConfigError(f"There is no guard '{name}' under 'guards' ({meant(name, config.guards)}).")
        pipeline = guards.pipeline(names, "")
        if pipeline is not None:
            check_masks(pipeline.parts, {part.name: guards.actions(part) for part in pipeline.parts})
    return guards


def check_masks(parts: Sequence[Part], actions: Mapping[str, Mapping[str, Action]]) -> None:
    """Raises ConfigError where a guard masks only what another one of the same route takes out of prompts before.

    `parts`: the guards of a route; `actions`: what each does about its rules, by their names.
    """
    for masking in parts:
        masked = _done(actions[masking.name], "mask")
        for other in (part for part in parts if "input" in part.config.on):
            if masked and masked <= _done(actions[other.name], "redact"):
                place = "action" if masking.action == "mask" else "rules"
                raise ConfigError(
                    f"'guards.{masking.name}.{place}': the guard '{masking.name}' masks in prompts what '{other.name}' "
                    "redacts there, so nothing is left to mask. "
                    f"Write `on: [output]` at 'guards.{other.name}', or let one route not have both."
                )


def _done(actions: Mapping[str, Action], action: Action) -> frozenset[str]:
    """Returns the names of the rules about which `action` is done."""
    return frozenset(name for name, own in actions.items() if own == action)


def _classifier() -> "InjectionClassifier":
    """Makes the classifier. Its libraries are imported here, as only a configuration that uses it needs them."""
    from patchbay.guards.injection.classifier import InjectionClassifier

    return InjectionClassifier()
