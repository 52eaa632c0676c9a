# ruff: noqa: RUF001
"""Patterns and words of a configuration are compared as texts are, whatever script they are written in."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from patchbay.core.errors import ConfigError
from patchbay.core.settings import parse_settings
from patchbay.guards.check import pattern_warnings
from patchbay.guards.config import GuardsConfig
from patchbay.guards.folding import fold
from patchbay.guards.pipeline import compile_guards
from patchbay.guards.stream.channel import Channel
from patchbay.router.cli.guards import app
from patchbay.router.settings.config import PolicyConfig
from patchbay.router.settings.protection import losses


def config_of(**guard: Any) -> GuardsConfig:
    return parse_settings(GuardsConfig, {"guards": {"h": {"kind": "rules", "action": "redact", **guard}}}, source="x")


def shown(text: str, size: int = 1000, **guard: Any) -> str:
    """What a guard makes of a text that comes in pieces of `size` characters."""
    pipeline = compile_guards(config_of(**guard), [("h",)], None, None).pipeline(("h",), "")
    assert pipeline is not None
    channel = Channel(pipeline.watches("output", None, escaped=False), lambda span: "#")
    parts = [channel.feed(text[at : at + size]).text for at in range(0, len(text), size)]
    return "".join([*parts, channel.finish().text])


PATTERNS = [
    ("Größe", "die Größe ist", "die # ist"),
    ("número", "el número es", "el # es"),
    ("пароль", "мой пароль тут", "мой # тут"),
    ("секрет", "секрет", "#"),
    ("κωδικός", "κωδικός", "#"),
    ("비밀번호", "비밀번호", "#"),
    ("[가-힣]{4}", "내 비밀번호!", "내 #!"),
    ("密码", "密码是", "#是"),
    ("[一-鿿]{2}", "密码", "#"),
    ("パスワード", "パスワード", "#"),
    ("पासवर्ड", "पासवर्ड", "#"),
    ("كلمة السر", "كلمة السر", "#"),
    ("mật khẩu", "mật khẩu", "#"),
    ("şifre", "şifre", "#"),
    ("hasło", "hasło", "#"),
    ("Straße", "Straße", "#"),
    ("[ÄÖÜ]mter", "Ämter", "#"),
    ("€[0-9]{2,6}", "€500", "#"),
    ("№[0-9]{2,6}", "№123", "#"),
    ("[№€][0-9]{2,6}", "№123 €12", "# #"),
    ("½", "½", "#"),
    ("–", "a – b", "a # b"),
    ("“geheim”", "“geheim”", "#"),
    ("ALPHA—[0-9]{3}", "ALPHA—123", "#"),
    ("CASE[–-][0-9]{3}", "CASE–123 CASE-123", "# #"),
    ("Ⅱ{2}", "ⅡⅡ", "#"),
    ("[а-я]{6}", "пароль", "#"),
    ("x[^é]y", "xéy xey xay", "xéy xey #"),
]


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize(("pattern", "text", "out"), PATTERNS)
def test_a_pattern_of_any_script_is_found(pattern: str, text: str, out: str, size: int) -> None:
    for caseless in (True, False):
        assert shown(text, size, patterns={"x": pattern}, caseless=caseless) == out


@pytest.mark.parametrize(
    "word",
    [
        *("водка", "наркотик", "мост", "виски", "оружие", "кокаин", "такси", "пароль", "κωδικός", "ναρκωτικά", "größe"),
        *("vodka", "şifre", "istanbul", "straße", "naïve", "C++", "c#", ".net", "don't", "비밀번호", "密码", "पासवर्ड"),
    ],
)
def test_case_does_not_hide_a_word_or_a_pattern(word: str) -> None:
    for form in (word, word.capitalize(), word.upper()):
        assert shown(f"a {form} b", words=[word]) == "a # b"
    if word.isalpha():
        for form in (word, word.capitalize(), word.upper()):
            assert shown(f"a {form} b", patterns={"x": word}) == "a # b"


@given(st.text("водкамстнуйνυγяжКВ", min_size=1, max_size=4), st.lists(st.booleans(), min_size=4, max_size=4))
@settings(deadline=None, max_examples=60)
def test_short_words_are_found_in_any_mixture_of_case(word: str, capitals: Sequence[bool]) -> None:
    mixed = "".join(char.upper() if capital else char.lower() for char, capital in zip(word, capitals, strict=False))
    assert shown(f"7 {mixed} 7", words=[word]) == "7 # 7"


@given(st.text(st.characters(min_codepoint=0xA0, max_codepoint=0x24FF, categories=["L", "N", "S"]), min_size=1))
@settings(deadline=None, max_examples=100)
def test_a_literal_is_found_in_itself(text: str) -> None:
    if fold(text).strip():
        assert "#" in shown(text, patterns={"x": text}, caseless=False)


@pytest.mark.parametrize(
    ("pattern", "caseless", "text", "out"),
    [
        ("(?i)abc", False, "ABC", "#"),
        ("(?i)abc", True, "ABC", "#"),
        ("abc", False, "ABC", "ABC"),
        ("(?x) a b c # letters", False, "abc", "#"),
        ("(?a)a.c", False, "aéc", "#"),
    ],
)
def test_flags_at_the_beginning_count(pattern: str, caseless: bool, text: str, out: str) -> None:
    assert shown(text, patterns={"x": pattern}, caseless=caseless) == out


@pytest.mark.parametrize("pattern", ["(?s)a.c", "(?m)abc", "(?L)abc", "(?u)abc", "(?i:abc)", "a(?i)b"])
def test_other_flags_are_refused_with_the_guard_and_the_pattern(pattern: str) -> None:
    with pytest.raises(ConfigError, match=r"'guards\.h\.patterns\.x'"):
        shown("abc", patterns={"x": pattern})


@pytest.mark.parametrize("pattern", ["[\\u0300-\\ud7ff]", "[가-나a]{2}", "\\u0301"])
def test_a_class_that_cannot_be_folded_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match=r"'guards\.h\.patterns\.x'"):
        shown("abc", patterns={"x": pattern})


def test_the_examples_of_a_pattern_are_checked_when_it_is_read() -> None:
    good = {"pattern": r"\bCASE-[0-9]{6}\b", "examples": ["see case-123456."], "not": ["CASE-12", "XCASE-123456"]}
    assert shown("a CASE-123456", patterns={"x": good}) == "a #"
    with pytest.raises(ConfigError, match=r"'guards\.h\.patterns\.x\.examples\.1': the pattern is not found"):
        shown("", patterns={"x": {**good, "examples": ["CASE-123456", "CASE 123456"]}})
    with pytest.raises(ConfigError, match=r"'guards\.h\.patterns\.x\.not\.0': the pattern is found"):
        shown("", patterns={"x": {**good, "not": ["a CASE-123456"]}})


def test_other_examples_protect_no_less() -> None:
    def policy(pattern: object) -> PolicyConfig:
        guards = {"h": {"kind": "rules", "patterns": {"x": pattern}}}
        return parse_settings(PolicyConfig, {"guards": guards}, source="x")

    assert losses(policy("abc"), policy({"pattern": "abc", "examples": ["abc"]})) == ()
    assert [one.place for one in losses(policy("abc"), policy({"pattern": "abd"}))] == ["guards.h.patterns"]


@pytest.mark.parametrize("pattern", [r"\bпароль\b", r"\b密码", r"ж{2}\b"])
def test_a_pattern_that_is_not_found_in_what_it_describes_is_warned_of(pattern: str) -> None:
    (warning,) = pattern_warnings(config_of(patterns={"x": pattern, "y": r"\b[^a-z]\d[^\d]{2}(?:a|b)\B\wc"}))
    assert warning.startswith("Rule 'h/x' is not found in '")


def test_the_trial_of_guards_warns_of_it(tmp_path: Any) -> None:
    (tmp_path / "text").write_text("пароль")
    (tmp_path / "p.yaml").write_text("guards:\n  h: {kind: rules, patterns: {x: '\\bпароль\\b'}}\n")
    done = CliRunner().invoke(app, ["test", str(tmp_path / "text"), "--config", str(tmp_path / "p.yaml")])
    assert done.exit_code == 0
    assert "warning: Rule 'h/x' is not found in 'пароль'" in done.stderr
