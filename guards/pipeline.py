"""Guards, compiled: what looks at a request and its answer. Immutable: another configuration makes another."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from patchbay.core.errors import ConfigError
from patchbay.guards.base_config import GuardBase
from patchbay.guards.config import (
    GroundingGuard,
    GuardsConfig,
    InjectionGuard,
    LeakGuard,
    RefusalGuard,
    RulesGuard,
    SchemaGuard,
)
from patchbay.guards.judges.config import JudgeGuard, PluginGuard
from patchbay.guards.judges.judges import factory_of
from patchbay.guards.judges.panel import AskedJudge
from patchbay.guards.rules.pii import PII
from patchbay.guards.rules.rule import Rule
from patchbay.guards.rules.secrets import SECRETS
from patchbay.guards.rules.words import PROFANITY
from patchbay.guards.scan.load import load_scanner
from patchbay.guards.scan.scanner import Scanner
from patchbay.guards.stream.leak_watch import LeakWatch, SuffixAutomaton
from patchbay.guards.stream.rules_watch import GuardRule, RuleSet, RulesWatch
from patchbay.guards.stream.watch import TextWatch
from patchbay.guards.stream.words_watch import Words, WordsWatch
from patchbay.guards.verdict import Action, FoundSpan, Side

if TYPE_CHECKING:
    from patchbay.guards.injection.classifier import InjectionClassifier

_SETS: Mapping[str, Sequence[Rule]] = {"pii": PII, "secrets": SECRETS, "profanity": PROFANITY}

_STRENGTH: Mapping[Action, int] = {"flag": 0, "mask": 1, "redact": 2, "route": 3, "block": 4}


@dataclass(frozen=True, slots=True)
class Part:
    """A guard as it is for one tenant. `action`: `flag` where it only looks."""

    name: str
    config: GuardBase
    action: Action
    dry_run: bool


@dataclass(frozen=True)
class Pipeline:
    """The guards of one route for one tenant."""

    parts: tuple[Part, ...]
    rules: Mapping[Side, RuleSet | None]
    words: Mapping[Side, Sequence[tuple[Words, Part]]]
    classifier: "InjectionClassifier | None"

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of its guards."""
        return tuple(part.name for part in self.parts)

    def parts_on(self, side: Side) -> Sequence[Part]:
        """The guards that look at that side."""
        return [part for part in self.parts if side in part.config.on]

    @cached_property
    def dry(self) -> frozenset[str]:
        """Guards that only look."""
        return frozenset(part.name for part in self.parts if part.dry_run)

    @cached_property
    def routes(self) -> Mapping[str, str]:
        """Where guards whose action is `route` have requests go."""
        return {part.name: part.config.route for part in self.parts if part.config.route is not None}

    @cached_property
    def leaks(self) -> Sequence[tuple[Part, LeakGuard]]:
        """Guards of the system prompt."""
        return [(part, part.config) for part in self.parts if isinstance(part.config, LeakGuard)]

    @cached_property
    def injections(self) -> Sequence[tuple[Part, InjectionGuard]]:
        """Guards against injections."""
        return [(part, part.config) for part in self.parts if isinstance(part.config, InjectionGuard)]

    @cached_property
    def finals(self) -> Sequence[Part]:
        """Guards that judge an answer once it is whole."""
        return [part for part in self.parts if isinstance(part.config, SchemaGuard | RefusalGuard | GroundingGuard)]

    @cached_property
    def asked(self) -> Mapping[Side, Sequence[AskedJudge]]:
        """Who judges each side."""
        sides: tuple[Side, ...] = ("input", "output")
        return {
            side: [
                AskedJudge(part.name, part.config, part.action, part.dry_run)
                for part in self.parts
                if isinstance(part.config, JudgeGuard) and side in part.config.on
            ]
            for side in sides
        }

    @cached_property
    def looks_at_answers(self) -> bool:
        """Whether answers are looked at."""
        output = self.rules["output"] or self.words["output"] or self.asked["output"]
        return bool(output or self.leaks or self.finals)

    def judged(self, text: str) -> list[FoundSpan]:
        """What is wrong with a prompt's text as a whole."""
        classifier, found = self.classifier, list[FoundSpan]()
        for part, guard in self.injections if classifier is not None else ():
            if classifier is not None and classifier.judge(text).score >= guard.threshold:
                found.append(FoundSpan(0, len(text), part.name, "injection", "INJECTION", part.action))
        return found

    def watches(self, side: Side, known: SuffixAutomaton | None, *, escaped: bool) -> list[TextWatch]:
        """What looks at a text. `known`: the system prompt's, where there is one; `escaped`: whether it is in JSON."""
        made: list[TextWatch] = []
        rules = self.rules[side]
        if rules is not None:
            made.append(RulesWatch(rules, escaped=escaped))
        made += [WordsWatch(words, part.name, part.action, escaped=escaped) for words, part in self.words[side]]
        if side == "output" and known is not None:
            made += [LeakWatch(known, leak.min_chars, part.name, part.action) for part, leak in self.leaks]
        return made


class Guards:
    """Made by `compile_guards`."""

    def __init__(self, config: GuardsConfig, scanner: Callable[[Sequence[Rule]], Scanner], folder: Path | None) -> None:
        self._config = config
        self._scanner = scanner
        self._rules = {name: _rules_of(name, guard) for name, guard in config.guards.items()}
        self._words = {name: words for name, guard in config.guards.items() if (words := _words(name, guard, folder))}
        injection = any(isinstance(guard, InjectionGuard) for guard in config.guards.values())
        self._classifier = _trained() if injection else None
        self._scanners: dict[tuple[tuple[str, str], ...], Scanner] = {}
        self._made: dict[tuple[tuple[str, ...], str], Pipeline] = {}
        # Tenants without anything of their own share one.
        self._special = {tenant for guard in config.guards.values() for tenant in guard.tenants}

    @property
    def judges(self) -> Sequence[JudgeGuard]:
        """Those that ask somebody else."""
        return [guard for guard in self._config.guards.values() if isinstance(guard, JudgeGuard)]

    def names(self, route: Iterable[str]) -> tuple[str, ...]:
        """The guards of a route that names `route`, those for all first."""
        return tuple(dict.fromkeys((*self._config.guard_all, *route)))

    def pipeline(self, route: Sequence[str], tenant: str) -> Pipeline | None:
        """The guards for a request; None where there are none."""
        names = self.names(route)
        if not names:
            return None
        key = (names, tenant if tenant in self._special else "")
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = self._make(*key)
        return made

    def _make(self, names: tuple[str, ...], tenant: str) -> Pipeline:
        parts = [part for name in names if (part := _part(name, self._config.guards[name], tenant)) is not None]
        sides: tuple[Side, ...] = ("input", "output")
        rules = {side: self._rule_set([part for part in parts if side in part.config.on]) for side in sides}
        words: dict[Side, Sequence[tuple[Words, Part]]] = {
            side: [(self._words[p.name], p) for p in parts if p.name in self._words and side in p.config.on]
            for side in sides
        }
        return Pipeline(tuple(parts), rules, words, self._classifier)

    def _rule_set(self, parts: Sequence[Part]) -> RuleSet | None:
        owned: dict[str, GuardRule] = {}
        for part in parts:
            for rule in self._rules[part.name]:
                # Of guards that name the same rule, the one that does most about it has it.
                known = owned.get(rule.name)
                if known is None or _STRENGTH[part.action] > _STRENGTH[known.action]:
                    owned[rule.name] = GuardRule(rule, part.name, part.action)
        if not owned:
            return None
        key = tuple((name, each.rule.pattern) for name, each in owned.items())
        if key not in self._scanners:
            self._scanners[key] = self._scanner([each.rule for each in owned.values()])
        return RuleSet(list(owned.values()), self._scanners[key])


def compile_guards(
    config: GuardsConfig, routes: Iterable[Sequence[str]], cache: Path | None, folder: Path | None
) -> Guards:
    """The guards of a configuration, those of `routes` ready for use. `cache`: where compiled rules are kept; `folder`:
    what files in the configuration are relative to. Raises ConfigError with the name of what is wrong."""
    for guard in config.guards.values():
        if isinstance(guard, PluginGuard):
            factory_of(guard)
    guards = Guards(config, lambda rules: load_scanner(rules, cache), folder)
    for names in ((), *routes):
        for name in names:
            if name not in config.guards:
                known = ", ".join(sorted(config.guards)) or "none"
                raise ConfigError(f"A route names the guard '{name}', and there is none (there are: {known}).")
        guards.pipeline(names, "")
    return guards


def _trained() -> "InjectionClassifier":
    """The classifier. What it needs is loaded only where it is needed."""
    from patchbay.guards.injection.classifier import InjectionClassifier

    return InjectionClassifier.trained()


def _part(name: str, guard: GuardBase, tenant: str) -> Part | None:
    own = guard.tenants.get(tenant)
    if own is not None and own.off:
        return None
    action = own.action if own is not None and own.action is not None else guard.action
    dry_run = own.dry_run if own is not None and own.dry_run is not None else guard.dry_run
    return Part(name, guard, "flag" if dry_run else action, dry_run)


def _rules_of(name: str, guard: GuardBase) -> Sequence[Rule]:
    if not isinstance(guard, RulesGuard):
        return ()
    found = [rule for chosen in guard.sets for rule in _SETS[chosen]]
    if unknown := sorted(set(guard.without) - {rule.name for rule in found}):
        raise ConfigError(f"Guard '{name}': 'without' names {', '.join(unknown)}, which is in none of its sets.")
    kept = [rule for rule in found if rule.name not in guard.without]
    own = [
        Rule(f"{name}/{each}", each.upper().replace("-", "_"), pattern, caseless=guard.caseless, given=True)
        for each, pattern in guard.patterns.items()
    ]
    return (*kept, *own)


def _words(name: str, guard: GuardBase, folder: Path | None) -> Words | None:
    if not isinstance(guard, RulesGuard) or not guard.words:
        return None
    if not isinstance(guard.words, Path):
        return Words(name, guard.words)
    file = guard.words if folder is None else folder / guard.words
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Guard '{name}': its words cannot be read from {file}: {error}.") from error
    return Words(name, [line for line in lines if line.strip()])
