"""Guards of which a part would do nothing are refused, with the guard, the key and the reason."""

from pathlib import Path
from typing import Any

import pytest

from patchbay.core.errors import ConfigError
from patchbay.core.settings import load_yaml, parse_settings
from patchbay.guards.config import GuardsConfig
from patchbay.guards.pipeline import compile_guards
from patchbay.router.settings.config import PolicyConfig

RULES: dict[str, Any] = {"kind": "rules", "sets": ["profanity"]}
MASK: dict[str, Any] = {**RULES, "on": ["input"], "action": "mask"}
ROUTED: dict[str, Any] = {**RULES, "on": ["input"], "route": "r"}


def read(**guards: Any) -> PolicyConfig:
    routes = {"r": {"model": "m"}}
    return parse_settings(PolicyConfig, {"guards": guards, "routes": routes}, source="x.yaml")


@pytest.mark.parametrize(
    ("guard", "told"),
    [
        ({"kind": "schema", "action": "redact"}, "'guards.g.action': an answer is judged as a whole"),
        ({"kind": "refusal", "action": "redact"}, "'guards.g.action': an answer is judged as a whole"),
        ({"kind": "grounding", "action": "mask"}, "'guards.g.action': an answer is held against its sources"),
        ({"kind": "injection", "action": "redact"}, "'guards.g.action': a prompt is judged for injections"),
        ({"kind": "llm", "model": "m", "action": "redact"}, "'guards.g.action': a text is judged as a whole"),
        ({"kind": "system_prompt", "action": "mask"}, "'guards.g.action': an answer is searched"),
        ({"kind": "schema", "on": ["input"]}, "'guards.g.on': this kind of guard looks at answers alone"),
        ({"kind": "refusal", "on": ["input", "output"]}, "'guards.g.on': this kind of guard looks at answers alone"),
        ({"kind": "injection", "on": ["output"]}, "'guards.g.on': this kind of guard looks at prompts alone"),
        ({"kind": "schema", "tenants": {"t": {"action": "redact"}}}, "'guards.g.tenants.t.action': an answer is"),
        ({**RULES, "tenants": {"t": {"action": "route"}}}, "'guards.g.tenants.t.action': the action 'route' needs"),
        ({**RULES, "tenants": {"t": {"action": "mask"}}}, "'guards.g.tenants.t.action': masks are put into prompts"),
        ({**RULES, "tenants": {"t": {}}}, "'guards.g.tenants.t': says nothing"),
        ({**RULES, "tenants": {"t": {"off": True, "action": "flag"}}}, "'guards.g.tenants.t': a guard that is off"),
        ({**RULES, "action": "mask"}, "'guards.g.action': masks are put into prompts"),
        ({**RULES, "action": "route", "on": ["input"]}, "'guards.g.action': the action 'route' needs a `route`"),
        ({**RULES, "action": "route", "route": "r"}, "'guards.g.action': an answer that has begun goes nowhere"),
        (ROUTED, "'guards.g.route': nothing goes there"),
    ],
)
def test_what_would_do_nothing_is_refused(guard: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(g=guard)
    assert told in str(refused.value)


def test_a_tenant_alone_may_be_sent_elsewhere() -> None:
    config = read(g={**ROUTED, "action": "flag", "tenants": {"t": {"action": "route"}, "u": {"dry_run": True}}})
    pipeline = compile_guards(config, [("g",)], None, None).pipeline(("g",), "t")
    assert pipeline is not None
    assert pipeline.parts[0].action == "route"
    assert pipeline.routes == {"g": "r"}


@pytest.mark.parametrize("first", ["all", "own"])
def test_a_mask_of_what_is_redacted_before_is_refused_where_both_meet(first: str) -> None:
    config = read(own=MASK, all={**RULES, "action": "redact"})
    with pytest.raises(
        ConfigError, match=r"'guards\.own\.action': the guard 'own' masks in prompts what 'all' redacts"
    ):
        compile_guards(config, [("all", "own") if first == "all" else ("own", "all")], None, None)
    compile_guards(config, [("all",), ("own",)], None, None)


@pytest.mark.parametrize(
    "other",
    [
        {**RULES, "on": ["output"], "action": "redact"},
        {**RULES, "action": "redact", "without": ["profanity-mild"]},
        {**RULES, "action": "redact", "dry_run": True},
        {**RULES, "action": "flag"},
    ],
)
def test_a_mask_that_has_something_left_is_accepted(other: dict[str, Any]) -> None:
    config = parse_settings(GuardsConfig, {"guards": {"own": MASK, "all": other}}, source="x")
    assert compile_guards(config, [("own", "all")], None, None).pipeline(("own", "all"), "") is not None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("guards:\n  g:\n    kind: rules\n    sets: [pi]\n", "line 4, column 12: 'guards.g.sets.0': must be 'pii'"),
        ("guards:\n  g:\n    kind: schema\n    schema: {}\n    reask: x\n", "line 5, column 5: 'guards.g.reask': "),
        ("guards:\n  g:\n    sets: [pii]\n", "line 2, column 3: 'guards.g': 'kind' is missing"),
        ("guards:\n  g:\n    kind: ruls\n", "line 2, column 3: 'guards.g': 'kind' must be one of 'rules'"),
        (
            "guards:\n  g:\n    kind: llm\n    lag_char: 3\n",
            "unknown key 'guards.g.lag_char' (did you mean 'lag_chars'?)",
        ),
        ("guards:\n  g: {kind: rules}\n", "line 2, column 3: 'guards.g': say what is looked for"),
        ("guard_all: [g]\n", "line 1, column 13: 'guard_all.0': there is no guard 'g'"),
    ],
)
def test_a_fault_is_told_with_the_guard_the_key_and_the_line(text: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        parse_settings(PolicyConfig, load_yaml(file), source="p.yaml", file=file)
    assert told in str(refused.value)


def test_a_guard_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"There is no guard 'pi' under 'guards' \(did you mean 'pii'\?\)"):
        compile_guards(read(pii=RULES), [("pi",)], None, None)
