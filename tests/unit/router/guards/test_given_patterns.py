"""Patterns of the configuration that would take for ever where they are tried in turn: they take their text's length."""

import time
from pathlib import Path

import pytest
from pydantic import ValidationError

from patchbay.guards.config import GuardsConfig
from patchbay.guards.pipeline import compile_guards
from patchbay.guards.stream.channel import Channel
from patchbay.router.routes.config import RuleConfig
from patchbay.router.routes.facts import RequestFacts
from patchbay.router.routes.rules import RouteRule


@pytest.mark.parametrize("pattern", ["(a|a|ab){1,25}b", "([a-z]{1,30}){1,30}1", "(a{0,5}){0,10}b"])
def test_a_guards_own_pattern_takes_as_long_as_its_text(pattern: str, tmp_path: Path) -> None:
    config = GuardsConfig.model_validate(
        {"guards": {"own": {"kind": "rules", "patterns": {"p": pattern}, "action": "redact"}}}
    )
    pipeline = compile_guards(config, [("own",)], tmp_path, None).pipeline(("own",), "")
    assert pipeline is not None
    channel = Channel(pipeline.watches("input", None, escaped=False), lambda span: "[X]")
    began_s = time.thread_time()
    out = channel.feed("ab1 " + "a" * 200 + "!").text + channel.finish().text
    assert time.thread_time() - began_s < 2
    assert out.startswith("[X]")


def test_a_rule_of_auto_takes_as_long_as_its_text() -> None:
    rule = RouteRule(RuleConfig(route="x", pattern="^(a+)+$"), lambda text: "en")
    assert rule.why(RequestFacts(text="a" * 20_000 + "!")) is None
    assert rule.why(RequestFacts(text="a" * 20_000)) == "pattern ^(a+)+$"
    assert rule.why(RequestFacts(text="\ud800")) is None


def test_a_rule_of_auto_that_only_backtracking_matches_is_refused() -> None:
    with pytest.raises(ValidationError, match="RE2"):
        RuleConfig(route="x", pattern=r"(a)\1")
