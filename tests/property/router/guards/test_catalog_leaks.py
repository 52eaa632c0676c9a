"""The built-in rules on every way that an answer can take: tens of thousands of texts drawn from their own patterns,
cut anywhere, and none is told."""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from patchbay.core.offload import Offload
from patchbay.guards.config import GuardsConfig
from patchbay.guards.formats.sse import split, written
from patchbay.guards.judges.judge import JudgeFailed, TextOrigin
from patchbay.guards.judges.judges import Judges
from patchbay.guards.pipeline import Guards, compile_guards
from patchbay.guards.rules.pii import PII
from patchbay.guards.rules.rule import Rule
from patchbay.guards.rules.secrets import SECRETS
from patchbay.guards.rules.words import PROFANITY
from patchbay.guards.scan.load import load_scanner
from patchbay.guards.scan.re2_scanner import Re2Scanner
from patchbay.guards.scan.scanner import Scanner, expressions_of
from patchbay.guards.session import GuardSession
from patchbay.guards.stream.channel import Channel
from patchbay.guards.stream.rules_watch import GuardRule, RuleSet, RulesWatch
from tests.fakes.samples import sample

ALL: Sequence[Rule] = (*PII, *SECRETS, *PROFANITY)
WORDS = "the order of last week has come and we would like to know where it is now, please tell us soon"
PROSE = tuple(WORDS.split(" "))
PER_CHANNEL = 2_600
PLANTED = 6
# What of a secret must not be seen, in characters in a row.
SHOWN = 8
Wire = Callable[[str], dict[str, Any]]


def delta(**fields: Any) -> dict[str, Any]:
    return {"id": "x", "choices": [{"index": 0, "delta": fields, "finish_reason": None}]}


def tool(piece: str) -> dict[str, Any]:
    return delta(tool_calls=[{"index": 0, "function": {"arguments": piece}}])


# What each wire format calls a piece of text, by endpoint.
CHANNELS: dict[str, tuple[str, Wire]] = {
    "content": ("chat_completions", lambda piece: delta(content=piece)),
    "reasoning": ("chat_completions", lambda piece: delta(reasoning_content=piece)),
    "arguments": ("chat_completions", tool),
    "second choice": (
        "chat_completions",
        lambda piece: {"id": "x", "choices": [{"index": 1, "delta": {"content": piece}, "finish_reason": None}]},
    ),
    "completions": (
        "completions",
        lambda piece: {"id": "x", "choices": [{"index": 0, "text": piece, "finish_reason": None}]},
    ),
    "responses": (
        "responses",
        lambda piece: {"type": "response.output_text.delta", "item_id": "m", "output_index": 0, "delta": piece},
    ),
    "messages": (
        "messages",
        lambda piece: {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}},
    ),
    "thinking": (
        "messages",
        lambda piece: {"type": "content_block_delta", "index": 0, "delta": {"type": "t", "thinking": piece}},
    ),
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rules")


@pytest.fixture(scope="module")
def guards(cache: Path) -> Guards:
    rules = {"kind": "rules", "sets": ["pii", "secrets", "profanity"], "action": "redact"}
    config = GuardsConfig.model_validate({"guards": {"all": rules}, "guard_all": ["all"]})
    return compile_guards(config, [], cache, None)


@pytest.fixture(scope="module")
def scanner(cache: Path) -> Scanner:
    return load_scanner(ALL, cache)


async def nobody(model: str, fields: dict[str, object], near: str) -> bytes:
    raise JudgeFailed("nobody is asked here")


def guarded(guards: Guards, endpoint: str) -> GuardSession:
    pipeline = guards.pipeline((), "")
    assert pipeline is not None
    return GuardSession(
        pipeline=pipeline,
        endpoint=endpoint,
        key=b"key",
        judges=Judges(ask=nobody, again=nobody, wanted=list),
        facts=TextOrigin(request="r"),
        offload=Offload(),
    )


def drawn(rule: Rule, rng: random.Random) -> str:
    """A text that the rule is for: of its language where that is easy to hit, else one of its examples."""
    for _ in range(0 if rule.near is not None else 20):
        text = sample(rule.pattern, rng)
        match = rule.compiled.search(text)
        if match is not None and rule.counts(match):
            return text
    return rng.choice(rule.examples)


def planted(rng: random.Random) -> str:
    """Prose with texts of random rules in it."""
    parts: list[str] = []
    for _ in range(PLANTED):
        parts += rng.choices(PROSE, k=rng.randint(1, 6))
        parts.append(drawn(rng.choice(ALL), rng))
    return " ".join([*parts, *rng.choices(PROSE, k=3)])


def secrets(text: str, rules: Sequence[Rule]) -> Iterator[str]:
    """What the rules find in the whole of it: the values, where a pattern says which part that is."""
    for rule in rules:
        for match in rule.compiled.finditer(text):
            if rule.counts(match):
                yield match[rule.compiled.groupindex.get("value", 0)]


def pieces(text: str, rng: random.Random) -> Iterator[str]:
    place, most = 0, rng.choice((2, 8, 40))
    while place < len(text):
        step = rng.randint(1, most)
        yield text[place : place + step]
        place += step


def said(value: Any) -> str:
    if isinstance(value, str):
        return value
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return "".join(map(said, parts))


def through(made: GuardSession, wire: Wire, parts: Iterator[str]) -> str:
    """What comes out of a stream of `parts`."""
    codec = made.codec(lambda: (0, 0))
    out = b"".join(codec.feed(written(wire(part))) for part in parts) + codec.finish()
    frame = said(wire(""))
    return "".join(said(data).replace(frame, "", 1) if frame else said(data) for _, data in split(out))


def is_told(secret: str, out: str, prose: str) -> bool:
    """Whether a part of it came out that is not in the text around it, too."""
    least = min(SHOWN, len(secret))
    parts = (secret[at : at + least] for at in range(len(secret) - least + 1))
    return any(part in out and part not in prose for part in parts)


@pytest.mark.parametrize("name", list(CHANNELS))
def test_a_span_of_thousands_is_told_on_some_channel(guards: Guards, name: str) -> None:
    endpoint, wire = CHANNELS[name]
    rng, count = random.Random(f"leaks {name}"), 0  # noqa: S311
    while count < PER_CHANNEL:
        text = planted(rng)
        sent = json.dumps(text)[1:-1] if name == "arguments" else text
        hits = list(secrets(text, ALL))
        out = through(guarded(guards, endpoint), wire, pieces(sent, rng))
        around = text
        for hit in hits:
            around = around.replace(hit, "\0")
        assert not [hit for hit in hits if is_told(hit, out, around + " ".join(PROSE))], text
        count += len(hits)


def test_the_spans_of_a_run_are_fewer_than_promised() -> None:
    assert PER_CHANNEL * len(CHANNELS) >= 20_000


def test_hyperscan_and_re2_find_different_things_by_the_catalog(scanner: Scanner) -> None:
    if isinstance(scanner, Re2Scanner):
        pytest.skip("hyperscan has no wheel here, so RE2 is all there is")
    oracle, rng = Re2Scanner(expressions_of(ALL)), random.Random("agree")  # noqa: S311
    for _ in range(400):
        text = planted(rng)
        cut = text[: rng.randint(1, len(text))][-300:]
        assert set(scanner.hits(cut)) == set(oracle.hits(cut)), cut
        assert scanner.live(cut[::-1]) == oracle.live(cut[::-1]), cut


class Counted:
    """A scanner that counts the characters that it is given."""

    def __init__(self, inner: Scanner) -> None:
        self._inner = inner
        self.chars = 0

    def hits(self, text: str) -> Any:
        self.chars += len(text)
        return self._inner.hits(text)

    def live(self, backwards: str) -> int:
        self.chars += len(backwards)
        return self._inner.live(backwards)


NEAR = ("AKIA", "a", "eyJ", "-----BEGIN ", "@a.", "4111 ", "ghp_", "https://u:", "password=", "\u200b", '\\"')


@pytest.mark.parametrize("near", NEAR)
def test_a_megabyte_of_what_might_begin_a_match_costs_more_than_its_length_or_is_held_whole(
    scanner: Scanner, near: str
) -> None:
    counted = Counted(scanner)
    rules = RuleSet([GuardRule(rule, "all", "redact") for rule in ALL], counted)
    channel = Channel([RulesWatch(rules)], lambda span: "")
    text, step = near * (1_000_000 // len(near)), 500
    most = 0
    for start in range(0, len(text), step):
        channel.feed(text[start : start + step])
        most = max(most, channel.held)
    channel.finish()
    # Twice (forwards and backwards) what is held and what is new, whatever came before.
    assert counted.chars <= 2 * len(text) * (1 + 2100 / step) + 10_000
    assert most <= 2100
