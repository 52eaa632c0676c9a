"""What guards cost and let through on streams: measured on real prose, with what they look for planted in it.

The prose is Python's own documentation, which every Python has (`pydoc_data.topics`).
"""

import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from pydoc_data.topics import topics

from patchbay.guards.rules.pii import PII
from patchbay.guards.rules.rule import Rule
from patchbay.guards.rules.secrets import SECRETS
from patchbay.guards.rules.words import PROFANITY
from patchbay.guards.scan.load import load_scanner
from patchbay.guards.stream.channel import Channel
from patchbay.guards.stream.rules_watch import GuardRule, RuleSet, RulesWatch
from patchbay.guards.verdict import FoundSpan

_RESCANNED = 400
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Figures:
    """`ours_us`, `rescan_us`: medians and 99th percentiles of a chunk, ours and of a plain `re` rescan of the last 400
    characters, in microseconds; `held`: characters of clean prose held after a chunk, the same; `spans`: planted;
    `leaked`: of which 8 characters or more in a row came out, with us, and where each chunk is checked alone;
    `changed`: characters of clean prose that did not come out as they were."""

    rules: int
    chunks: int
    ours_us: tuple[float, float]
    rescan_us: tuple[float, float]
    held: tuple[float, float]
    spans: int
    leaked: int
    leaked_alone: int
    found_in_prose: int


def measure(cache: Path | None, *, chars: int, chunk: int, seed: int, told: Callable[[int], None]) -> Figures:
    """Streams `chars` characters of prose in chunks of `chunk`, and then planted text. `told`: how many characters are
    done by now."""
    rules = (*PII, *SECRETS, *PROFANITY)
    owned = RuleSet([GuardRule(rule, "bench", "redact") for rule in rules], load_scanner(rules, cache))
    prose = _prose(chars)
    ours, rescan, held, found = _timed(owned, prose, chunk, told)
    spans, leaked, alone = _leaks(owned, rules, chunk, random.Random(seed))  # noqa: S311 - no secret
    return Figures(len(rules), len(ours), _two(ours), _two(rescan), _two(held), spans, leaked, alone, found)


def _prose(chars: int) -> str:
    text = "\n".join(topics[name] for name in sorted(topics))
    return (text * (1 + chars // len(text)))[:chars]


def _pieces(text: str, size: int) -> Iterator[str]:
    return (text[start : start + size] for start in range(0, len(text), size))


def _timed(
    owned: RuleSet, prose: str, size: int, told: Callable[[int], None]
) -> tuple[list[float], list[float], list[float], int]:
    """Both ways on each chunk, one after the other, so that what disturbs the machine disturbs both."""
    channel, ours, rescan, held, found, window = _channel(owned), [], [], list[float](), 0, ""
    for number, piece in enumerate(_pieces(prose, size)):
        begun = time.perf_counter()
        found += len(channel.feed(piece).spans)
        middle = time.perf_counter()
        window = (window + piece)[-_RESCANNED:]
        if number % 16 == 0:
            _rescan(owned, window)
            rescan.append(time.perf_counter() - middle)
        ours.append(middle - begun)
        held.append(channel.held)
        told((number + 1) * size)
    micro = [one * 1e6 for one in ours]
    return micro, [one * 1e6 for one in rescan], held, found


def _rescan(owned: RuleSet, window: str) -> int:
    return sum(pattern.search(window) is not None for pattern in owned.patterns)


def _leaks(owned: RuleSet, rules: Sequence[Rule], size: int, rng: random.Random) -> tuple[int, int, int]:
    """Every example of every rule, planted in prose and cut at random: how many there were, and how many came out."""
    prose, spans, leaked, alone = _prose(200_000), 0, 0, 0
    for rule in rules:
        for example in rule.examples:
            for _ in range(8):
                start = rng.randrange(len(prose) - 200)
                text = f"{prose[start : start + 80]} {example} {prose[start + 100 : start + 180]}"
                secret = _secret(rule, text)
                spans += 1
                pieces = list(_random_pieces(text, size, rng))
                leaked += _shows("".join(_through(owned, pieces)), secret, text)
                alone += _shows("".join(_each_alone(owned, pieces)), secret, text)
    return spans, leaked, alone


def _secret(rule: Rule, text: str) -> str:
    for match in rule.compiled.finditer(text):
        if rule.valid is None or rule.valid(match[0]):
            return match[0]
    return ""


def _through(owned: RuleSet, pieces: Sequence[str]) -> Iterator[str]:
    channel = _channel(owned)
    for piece in pieces:
        yield channel.feed(piece).text
    yield channel.finish().text


def _each_alone(owned: RuleSet, pieces: Sequence[str]) -> Iterator[str]:
    for piece in pieces:
        channel = _channel(owned)
        yield channel.feed(piece).text + channel.finish().text


def _random_pieces(text: str, size: int, rng: random.Random) -> Iterator[str]:
    place = 0
    while place < len(text):
        step = rng.randint(1, 2 * size - 1)
        yield text[place : place + step]
        place += step


def _shows(out: str, secret: str, text: str) -> bool:
    """Whether a part of the secret came out that is not in the prose around it, too."""
    around, least = text.replace(secret, ""), min(_SHOWN, len(secret))
    parts = (secret[at : at + least] for at in range(len(secret) - least + 1))
    return bool(secret) and any(part in out and part not in around for part in parts)


def _channel(owned: RuleSet) -> Channel:
    return Channel([RulesWatch(owned)], _marker)


def _marker(span: FoundSpan) -> str:
    return f"[{span.kind}]"


def _two(values: Sequence[float]) -> tuple[float, float]:
    return statistics.median(values), statistics.quantiles(values, n=100)[98]
