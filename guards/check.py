"""Rules and words of guards, and a look at every guard of a configuration, also at those that no route uses."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from patchbay.core.errors import ConfigError
from patchbay.core.names import meant
from patchbay.core.setting_faults import Fault, Keys
from patchbay.guards.base_config import ActionName, GuardBase
from patchbay.guards.config import GuardsConfig, RulesGuard
from patchbay.guards.entities.config import EntitiesGuard
from patchbay.guards.entities.language import Languages
from patchbay.guards.entities.presidio_library import library_faults
from patchbay.guards.judges.config import PluginGuard
from patchbay.guards.judges.judges import factory_of
from patchbay.guards.rules.catalog import SETS
from patchbay.guards.rules.language import ignores_case, read_pattern
from patchbay.guards.rules.phones import KNOWN_REGIONS, phone_rules
from patchbay.guards.rules.regions import DEFAULT_REGIONS
from patchbay.guards.rules.rule import Rule
from patchbay.guards.rules.tree import example_of
from patchbay.guards.scan.load import load_scanner
from patchbay.guards.scan.re2_scanner import Re2Scanner
from patchbay.guards.scan.scanner import expressions_of
from patchbay.guards.stream.rules_watch import GuardRule, RuleSet, RulesWatch
from patchbay.guards.stream.words_watch import Words


def guard_faults(config: GuardsConfig, folder: Path | None) -> Iterator[Fault]:
    """Yields what is wrong with guards and shows only when they are compiled: patterns, names of rules, files of words,
    plug-ins, what finds entities. `folder`: what files in the configuration are relative to."""
    for name, guard in config.guards.items():
        at: Keys = ("guards", name)
        if isinstance(guard, PluginGuard):
            try:
                factory_of(guard)
            except ConfigError as error:
                yield _told((*at, "factory"), error)
        if isinstance(guard, EntitiesGuard):
            yield from _entities_faults(at, guard)
        if isinstance(guard, RulesGuard):
            yield from _rules_faults(name, guard)
            try:
                words_of(name, guard, folder)
            except ConfigError as error:
                yield _told((*at, "words"), error)


def _entities_faults(at: Keys, guard: EntitiesGuard) -> Iterator[Fault]:
    """Yields what a guard needs and is not there: Presidio, its models, and what tells its languages apart."""
    if guard.in_process is not None:
        yield from (Fault((*at, *fault.keys), fault.words) for fault in library_faults(guard.in_process))
    try:
        Languages(guard.languages).prepare()
    except ConfigError as error:
        yield _told((*at, "languages"), error)


def rules_of(name: str, guard: GuardBase) -> Sequence[Rule]:
    """Returns the rules of a guard: those of its sets that are not left out, then its own."""
    if not isinstance(guard, RulesGuard):
        return ()
    kept = [
        sure
        for set_name, rule in _built_in(guard)
        if rule.name not in guard.without and (sure := _sure_of(guard, set_name, rule)) is not None
    ]
    return (*kept, *_own_rules(name, guard))


def actions_of(guard: GuardBase) -> Mapping[str, ActionName]:
    """Returns the actions of a guard's built-in rules that are not its own, by a rule's name."""
    if not isinstance(guard, RulesGuard) or not any(given.action for given in guard.rules.values()):
        return {}
    actions: dict[str, ActionName] = {}
    for set_name, rule in _built_in(guard):
        given = [guard.rules[key].action for key in (rule.name, set_name) if key in guard.rules]
        action: ActionName | None = next(filter(None, given), None)
        if action is not None:
            actions[rule.name] = action
    return actions


def actions_by_rule(name: str, guard: RulesGuard) -> Mapping[str, tuple[Rule, ActionName]]:
    """Returns the rules of a guard called `name`, each with what it does about it, by a rule's name."""
    own = actions_of(guard)
    return {rule.name: (rule, own.get(rule.name, guard.action)) for rule in rules_of(name, guard)}


def _sure_of(guard: RulesGuard, set_name: str, rule: Rule) -> Rule | None:
    """Returns a rule as a guard's confidence has it: without the words that it needs, where that is sure enough, too;
    None where it is not sure enough."""
    given = [guard.rules[key].confidence for key in (rule.name, set_name) if key in guard.rules]
    least = next((confidence for confidence in given if confidence is not None), guard.confidence)
    if rule.near is not None and rule.bare >= least:
        return replace(rule, near=None)
    return rule if rule.confidence >= least else None


def words_of(name: str, guard: GuardBase, folder: Path | None) -> Words | None:
    """Returns the words of a guard, compiled; None where it has none. Raises ConfigError where they cannot be had."""
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


def _rules_faults(name: str, guard: RulesGuard) -> Iterator[Fault]:
    known = [rule.name for _, rule in _built_in(guard)]
    yield from _names_faults(name, guard, known)
    for place, left_out in enumerate(guard.without):
        if left_out not in known:
            words = f"none of the guard's sets has a rule '{left_out}' ({meant(left_out, known)})"
            yield Fault(("guards", name, "without", place), words)
    for label, rule in zip(guard.patterns, _own_rules(name, guard), strict=True):
        at: Keys = ("guards", name, "patterns", label)
        try:
            load_scanner([rule], None)
            yield from _example_faults(at, rule)
        except ConfigError as error:
            yield _told(at, error)


def _names_faults(name: str, guard: RulesGuard, known: Sequence[str]) -> Iterator[Fault]:
    """Yields the names of rules, sets and regions that there are not."""
    for given in guard.rules:
        if given not in known and given not in guard.sets:
            words = f"the guard has no set or rule '{given}' ({meant(given, [*guard.sets, *known])})"
            yield Fault(("guards", name, "rules", given), words)
    for place, region in enumerate(guard.regions):
        if region not in KNOWN_REGIONS:
            words = f"no region '{region}' is known: name it by two letters of ISO 3166, such as GB"
            yield Fault(("guards", name, "regions", place), words)


def _example_faults(at: Keys, rule: Rule) -> Iterator[Fault]:
    """Yields the examples of a rule in which it is not found, and the others in which it is."""
    for place, text in enumerate(rule.examples):
        if not finds(rule, text):
            yield Fault((*at, "examples", place), "the pattern is not found in this text: mend the one or the other")
    for place, text in enumerate(rule.others):
        if finds(rule, text):
            yield Fault((*at, "not", place), "the pattern is found in this text: mend the one or the other")


def finds(rule: Rule, text: str) -> bool:
    """Says whether a rule is found in a text. Raises ConfigError for a rule that cannot be used."""
    watch = RulesWatch(RuleSet([GuardRule(rule, "", "flag")], Re2Scanner(expressions_of([rule]))))
    return bool(watch.feed(text).spans or watch.finish().spans)


def pattern_warnings(config: GuardsConfig) -> Iterator[str]:
    """Yields warnings of patterns that are not found in a text that they themselves describe, so that they may never be
    found: a `\\b` beside a letter that is not of ASCII has no edge there. Raises ConfigError."""
    for name, guard in config.guards.items():
        for rule in _own_rules(name, guard) if isinstance(guard, RulesGuard) else ():
            example = example_of(list(read_pattern(rule.name, rule.pattern)))
            if not finds(rule, example):
                yield (
                    f"Rule '{rule.name}' is not found in '{example}', which its pattern describes, and may never be: "
                    "look for a `\\b` beside a letter that is not of ASCII, and give it `examples`."
                )


def _built_in(guard: RulesGuard) -> list[tuple[str, Rule]]:
    """Returns the built-in rules of a guard, each with its set. Telephone numbers are those of the guard's regions."""
    rules: list[tuple[str, Rule]] = [(set_name, rule) for set_name in guard.sets for rule in SETS[set_name]]
    if guard.regions == DEFAULT_REGIONS:
        return rules
    phones = {rule.name: rule for rule in phone_rules(guard.regions)}
    default = {rule.name for rule in phone_rules(DEFAULT_REGIONS)}
    return [
        (set_name, phones.get(rule.name, rule))
        for set_name, rule in rules
        if rule.name in phones or rule.name not in default
    ]


def _own_rules(name: str, guard: RulesGuard) -> list[Rule]:
    return [
        Rule(
            name=f"{name}/{label}",
            kind=label.upper().replace("-", "_"),
            pattern=own.pattern,
            caseless=guard.caseless or ignores_case(own.pattern),
            given=True,
            examples=own.examples,
            others=own.others,
        )
        for label, own in guard.patterns.items()
    ]


def _told(keys: Keys, error: ConfigError) -> Fault:
    return Fault(keys, str(error).rstrip("."))
