"""Benchmark of guards on streams: their cost, and what they leak, on real prose with examples planted in it.

The prose is Python's own documentation, which every Python has (`pydoc_data.topics`).
"""

import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from pydoc_data.topics import topics

from patchbay.guards.rules.language import VALUE
from patchbay.guards.rules.pii import PII
from patchbay.guards.rules.rule import Rule
from patchbay.guards.rules.secrets import SECRETS
from patchbay.guards.rules.words import PROFANITY
from patchbay.guards.scan.load import load_scanner
from patchbay.guards.stream.channel import Channel
from patchbay.guards.stream.rules_watch import GuardRule, RuleSet, RulesWatch
from patchbay.guards.verdict import FoundSpan

# Characters that the plain rescan looks at after each chunk.
_RESCANNED = 400
# Chunks of a turn, and those of them that are rescanned.
_TURN, _OF_TURN = 256, 16
# Characters of a planted span in a row that count as a leak.
_LEAK_CHARS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of one benchmark.

    `rules`, `chunks`: how many there were; `ours_us`, `rescan_us`: the time of a chunk in microseconds, with guards and
    by a plain `re` rescan of the last 400 characters, as median and 99th percentile; `held`: characters of clean prose
    held after a chunk, as the same two; `spans`: planted spans; `leaked`: those of which 8 characters or more in a row
    came out; `leaked_alone`: the same where each chunk is checked by itself; `found_in_prose`: spans found in the prose
    itself.
    """

    rules: int
    chunks: int
    ours_us: tuple[float, float]
    rescan_us: tuple[float, float]
    held: tuple[float, float]
    spans: int
    leaked: int
    leaked_alone: int
    found_in_prose: int


def measure(cache: Path | None, *, chars: int, chunk: int, seed: int, on_progress: Callable[[int], None]) -> Figures:
    """Streams prose through all built-in rules, then text with planted examples.

    `cache`: the folder of compiled rules, None to keep none; `chars`: the length of the prose; `chunk`: the length of a
    chunk, in characters; `seed`: of where examples are planted and cut; `on_progress`: is called with the number of
    characters done.
    """
    rules = (*PII, *SECRETS, *PROFANITY)
    rule_set = RuleSet([GuardRule(rule, "bench", "redact") for rule in rules], load_scanner(rules, cache))
    prose = _prose(chars)
    ours, rescan, held, found = _timed(rule_set, prose, chunk, on_progress)
    spans, leaked, alone = _leaks(rule_set, rules, chunk, random.Random(seed))  # noqa: S311 - no secret
    return Figures(
        rules=len(rules),
        chunks=len(ours),
        ours_us=_median_and_p99(ours),
        rescan_us=_median_and_p99(rescan),
        held=_median_and_p99(held),
        spans=spans,
        leaked=leaked,
        leaked_alone=alone,
        found_in_prose=found,
    )


def _prose(chars: int) -> str:
    text = "\n".join(topics[name] for name in sorted(topics))
    return (text * (1 + chars // len(text)))[:chars]


def _pieces(text: str, size: int) -> Iterator[str]:
    return (text[start : start + size] for start in range(0, len(text), size))


def _timed(
    rule_set: RuleSet, prose: str, size: int, on_progress: Callable[[int], None]
) -> tuple[list[float], list[float], list[float], int]:
    """Times both ways by turns, so that what disturbs the machine disturbs both. A turn has many chunks: a rescan by
    hundreds of patterns drives all else out of the processor's caches."""
    channel, ours, rescan, held, found = _channel(rule_set), [], [], list[float](), 0
    for number, piece in enumerate(_pieces(prose, size)):
        begun = time.perf_counter()
        found += len(channel.feed(piece).spans)
        ours.append(time.perf_counter() - begun)
        held.append(channel.held)
        if number % _TURN == _TURN - 1:
            end = (number + 1) * size
            rescan += [_rescan(rule_set, prose[max(0, at - _RESCANNED) : at]) for at in _spread(end, size)]
            on_progress(end)
    ours_us, rescan_us = [seconds * 1e6 for seconds in ours], [seconds * 1e6 for seconds in rescan]
    return ours_us, rescan_us, held, found


def _spread(end: int, size: int) -> range:
    """Returns where the chunks of the turn that ends at `end` end that are rescanned."""
    return range(end - (_TURN - 1) * size, end + 1, size * _TURN // _OF_TURN)


def _rescan(rule_set: RuleSet, window: str) -> float:
    """Returns the time of a rescan in seconds."""
    begun = time.perf_counter()
    for pattern in rule_set.patterns:
        pattern.search(window)
    return time.perf_counter() - begun


def _leaks(rule_set: RuleSet, rules: Sequence[Rule], size: int, rng: random.Random) -> tuple[int, int, int]:
    """Plants every example of every rule in prose that is cut at random. Returns the spans, those that leaked, and
    those that leaked where each chunk is checked alone."""
    prose, spans, leaked, alone = _prose(200_000), 0, 0, 0
    for rule in rules:
        for example in rule.examples:
            for _ in range(8):
                start = rng.randrange(len(prose) - 200)
                text = f"{prose[start : start + 80]} {example} {prose[start + 100 : start + 180]}"
                secret = _secret(rule, text)
                spans += 1
                pieces = list(_random_pieces(text, size, rng))
                leaked += _leaked("".join(_through(rule_set, pieces)), secret, text)
                alone += _leaked("".join(_each_alone(rule_set, pieces)), secret, text)
    return spans, leaked, alone


def _secret(rule: Rule, text: str) -> str:
    for match in rule.compiled.finditer(text):
        if rule.counts(match):
            # Of a rule that finds an assignment, the value: the name that it is assigned to stays.
            return match[rule.compiled.groupindex.get(VALUE, 0)]
    return ""


def _through(rule_set: RuleSet, pieces: Sequence[str]) -> Iterator[str]:
    channel = _channel(rule_set)
    for piece in pieces:
        yield channel.feed(piece).text
    yield channel.finish().text


def _each_alone(rule_set: RuleSet, pieces: Sequence[str]) -> Iterator[str]:
    for piece in pieces:
        channel = _channel(rule_set)
        yield channel.feed(piece).text + channel.finish().text


def _random_pieces(text: str, size: int, rng: random.Random) -> Iterator[str]:
    place = 0
    while place < len(text):
        step = rng.randint(1, 2 * size - 1)
        yield text[place : place + step]
        place += step


def _leaked(out: str, secret: str, text: str) -> bool:
    """Whether a part of the secret came out that the prose around it does not have too."""
    around, least = text.replace(secret, ""), min(_LEAK_CHARS, len(secret))
    parts = (secret[at : at + least] for at in range(len(secret) - least + 1))
    return bool(secret) and any(part in out and part not in around for part in parts)


def _channel(rule_set: RuleSet) -> Channel:
    return Channel([RulesWatch(rule_set)], _marker)


def _marker(span: FoundSpan) -> str:
    return f"[{span.kind}]"


def _median_and_p99(values: Sequence[float]) -> tuple[float, float]:
    return statistics.median(values), statistics.quantiles(values, n=100)[98]
