"""The recommendation of slots and places in host memory, from the reuse of revisions so far. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from patchbay.core.replica import RevisionUsage

# A capacity is enough where this share of the repeated requests finds its revision there.
_ENOUGH = 0.99


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The settings that would have served what was asked for.

    `max_loras`: the most distinct revisions that one replica had in use at a time; `max_cpu_loras`: the fewest places
    at which 99 of 100 repeated requests find their revision; `hits_now`, `hits_then`: the shares that do, with the
    places that there are and with those; `requests`: the number on which that is based; `words`: all of it, for people.
    """

    max_loras: int
    max_cpu_loras: int
    hits_now: float
    hits_then: float
    requests: int
    words: str


def hit_rate(usages: Sequence[RevisionUsage], places: int) -> float:
    """Computes the share of repeated requests that find their revision in `places` places of each replica.

    The places are taken to be kept by least recent use; `usages`: one for each replica.
    """
    repeated = sum(sum(usage.distances) + usage.far for usage in usages)
    hits = sum(sum(usage.distances[:places]) for usage in usages)
    return hits / repeated if repeated else 1.0


def recommend(usages: Sequence[RevisionUsage], *, slots: int, places: int) -> Recommendation:
    """Recommends settings for `usages`, one for each replica, each of which now has `slots` and `places`."""
    requests = sum(usage.first + sum(usage.distances) + usage.far for usage in usages)
    most = max((len(usage.distances) for usage in usages), default=0)
    enough = next((n for n in range(1, most + 1) if hit_rate(usages, n) >= _ENOUGH), max(1, most))
    peak = max((usage.peak for usage in usages), default=0)
    places_then = max(enough, peak, 1)
    now, then = hit_rate(usages, places), hit_rate(usages, places_then)
    return Recommendation(
        max(1, peak), places_then, now, then, requests, _in_words(peak, slots, places, places_then, now)
    )


def _in_words(peak: int, slots: int, places: int, enough: int, now: float) -> str:
    if not peak:
        return "No adapter has been asked for yet."
    advice = []
    if peak > slots:
        advice.append(
            f"Up to {peak} revisions were in use at a time, but a batch has {slots} slots: set max_loras to {peak}."
        )
    if enough > places and now < _ENOUGH:
        advice.append(
            f"{100 * (1 - now):.0f}% of the repeated requests found their revision gone: set max_cpu_loras to {enough}."
        )
    return (
        " ".join(advice) or f"{slots} slots and {places} places have been enough: at most {peak} revisions were in use."
    )
