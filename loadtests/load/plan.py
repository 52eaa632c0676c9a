"""The plan of a scenario: all its requests, drawn before the first is sent, and the same for the same seed."""

import itertools
from collections.abc import Iterator
from typing import Any

from loadtests.load.arrivals import due_times
from loadtests.load.records import Planned
from loadtests.load.scenario import Scenario
from patchbay.tuning.demo.corpus import TASKS, Example, draw_pairs, seeded
from patchbay.tuning.demo.recipe import SHIPPED_SEED

ANYBODY = ""
_CALLERS = 1000


def plan(scenario: Scenario) -> tuple[Planned, ...]:
    """All requests, in the order in which they are due."""
    drawing = _Drawing(scenario)
    return tuple(
        drawing.request(number, due_s, tenant) for number, (due_s, tenant) in enumerate(sorted(_arrivals(scenario)))
    )


def _arrivals(scenario: Scenario) -> Iterator[tuple[float, str]]:
    named = {name: tenant.arrivals for name, tenant in scenario.tenants.items()}
    if scenario.arrivals is not None:
        named[ANYBODY] = scenario.arrivals
    for name, arrivals in named.items():
        rng = seeded(f"{scenario.seed}/arrivals/{name}")
        yield from ((due_s, name) for due_s in due_times(arrivals, scenario.seconds, rng))


class _Drawing:
    """Draws what each request is. Prompts are of the demo's held-out split: no adapter has learnt from them."""

    def __init__(self, scenario: Scenario) -> None:
        self._wanted = scenario.requests
        self._models = scenario.models
        self._weights = zipf_weights(len(scenario.models), scenario.requests.zipf)
        self._rng = seeded(f"{scenario.seed}/requests")
        self._texts = {task: _examples(task, scenario.seed) for task in TASKS}

    def request(self, number: int, due_s: float, tenant: str) -> Planned:
        """One request."""
        wanted, rng = self._wanted, self._rng
        model = rng.choices(self._models, self._weights)[0]
        stream = rng.random() < wanted.streams
        leaves = stream and rng.random() < wanted.cancels
        example = next(self._texts[task_of(model)])
        body = self._body(model, example, stream=stream) | {"user": f"caller-{rng.randrange(_CALLERS)}"}
        cancel_after = rng.randint(1, wanted.cancel_after) if leaves else None
        return Planned(number, due_s, model, tenant, body, cancel_after, example.answer if wanted.vote else None)

    def _body(self, model: str, example: Example, *, stream: bool) -> dict[str, Any]:
        low, high = self._wanted.tokens
        body: dict[str, Any] = {
            "model": model,
            "messages": [{"role": turn.role, "content": turn.content} for turn in example.messages],
            "max_tokens": self._rng.randint(low, high),
            "temperature": 0,
        }
        if self._wanted.to_the_end:
            body["ignore_eos"] = True
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return body


def zipf_weights(count: int, exponent: float) -> list[float]:
    """The n-th of `count` has a weight of 1/n^`exponent`."""
    return [1 / place**exponent for place in range(1, count + 1)]


def task_of(model: str) -> str:
    """Returns the demo's task that a model is asked: its own, else `sql`, of which clones are copies."""
    name = model.partition("@")[0].removeprefix("desk-").removesuffix("-bad")
    return name if name in TASKS else "sql"


def _examples(task: str, seed: int) -> Iterator[Example]:
    """Examples of a task, over and over, in an order of the seed's own."""
    from patchbay.tuning.demo.corpus import bare_example

    pairs = draw_pairs(task, SHIPPED_SEED, held_out=True)
    drawn = [bare_example(pair) for pair in itertools.islice(pairs, 300)]
    seeded(f"{seed}/{task}").shuffle(drawn)
    return itertools.cycle(drawn)
