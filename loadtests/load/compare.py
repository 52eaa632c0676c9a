"""The comparison with vLLM's own serving benchmark: the same kind of load by both, in turns on one running stack.

As many streams of 32 tokens on prompts of 64 random ones, for one model, Poisson arrivals at the scenario's rate.
vLLM's counts an answer's time from its sending; this one is shown both ways.
"""

import itertools
import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from loadtests.load.driving import drive
from loadtests.load.figures import Figures, Spread, figures
from loadtests.load.records import Job, Planned
from loadtests.load.running import Tell
from loadtests.load.scenario import Arrivals, Requests, Scenario
from loadtests.load.stack import Target
from loadtests.stacks import demo_models
from patchbay.core.errors import ConfigError, PatchbayError

_ROOT = Path(__file__).parent.parent.parent
_REQUESTS = 75
# One, the other, the other, the one: what drifts on the machine falls on both.
_ORDER = (True, False, False, True)
_PROMPT, _ANSWER = 64, 32
_LONGEST_S = 600
# vLLM's words for what is called so here.
_SPREADS = {"mean": "mean", "median": "p50", "p99": "p99"}
_TTFTS = ("ttft_from_sending", "ttft")

Table = dict[str, tuple[float | None, ...]]


def compare(scenario: Scenario, target: Target, tell: Tell) -> Table:
    """Rows of: vLLM's figure, this one's from sending, this one's from when due. Times in ms.

    Raises ConfigError for a scenario with tenants, PatchbayError where vLLM's benchmark fails.
    """
    if scenario.arrivals is None:
        raise ConfigError("--compare is for a scenario without tenants: vLLM's benchmark has one caller.")
    rate, model = scenario.arrivals.per_second, scenario.models[0]
    theirs: list[dict[str, float]] = []
    ours: list[Figures] = []
    for place, is_theirs in enumerate(_ORDER):
        if is_theirs:
            tell("vLLM's benchmark", place, len(_ORDER))
            theirs.append(_vllm(target.url, model, rate, seed=place))
        else:
            ours.append(_ours(rate, model, target, tell, seed=place))
    return table(theirs, ours)


def table(theirs: Sequence[dict[str, float]], ours: Sequence[Figures]) -> Table:
    """Both, side by side, means over their turns. Pure."""

    def row(name: str, sent: Sequence[float | None], due: Sequence[float | None]) -> tuple[float | None, ...]:
        return (_mean([run_[name] for run_ in theirs]), _mean(sent), _mean(due))

    def both(name: str, values: Sequence[float | None]) -> tuple[float | None, ...]:
        return row(name, values, values)

    rows: Table = {
        "answered": both("completed", [run_.counted.answered for run_ in ours]),
        "failed": both("failed", [run_.counted.failed for run_ in ours]),
        "requests a second": both("request_throughput", [run_.requests_per_s for run_ in ours]),
        "tokens a second": both("output_throughput", [run_.tokens_per_s for run_ in ours]),
    }
    for name, our_name in _SPREADS.items():
        sent, due = ([_ms(getattr(run_.counted, kind), our_name) for run_ in ours] for kind in _TTFTS)
        rows[f"time to first token, {name}, ms"] = row(f"{name}_ttft_ms", sent, due)
    for name, our_name in _SPREADS.items():
        each = [_ms(run_.counted.token_time, our_name) for run_ in ours]
        rows[f"time per token after it, {name}, ms"] = both(f"{name}_tpot_ms", each)
    return rows


def _mean(values: Sequence[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return fmean(found) if found else None


def _ms(spread: Spread | None, name: str) -> float | None:
    return None if spread is None else 1000 * float(getattr(spread, name))


def _vllm(url: str, model: str, rate: float, *, seed: int) -> dict[str, float]:
    command = [sys.executable, "-m", "loadtests.vllm_serving", "--url", url, "--model", model, "--json"]
    command += ["--requests", str(_REQUESTS), "--rate", str(rate), "--seed", str(seed)]
    command += ["--tokenizer", str(demo_models().base)]
    path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=_LONGEST_S,
        env={**os.environ, "PYTHONPATH": path},
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise PatchbayError(f"vLLM's benchmark failed: {done.stderr.strip()[-400:]}")
    found: dict[str, float] = json.loads(lines[-1])
    return found


def _ours(rate: float, model: str, target: Target, tell: Tell, *, seed: int) -> Figures:
    rng = random.Random(f"compare/{rate}/{seed}")  # noqa: S311 - reproducible, no secret
    # So many requests and not so many seconds, as vLLM's counts.
    due = list(itertools.accumulate(rng.expovariate(rate) for _ in range(_REQUESTS)))
    same = Scenario(seconds=due[-1], arrivals=Arrivals(per_second=rate), requests=Requests(models=(model,)))
    prompts = _prompts(_REQUESTS, rng)
    planned = tuple(
        Planned(number, due_s, model, "", _body(model, prompt))
        for number, (due_s, prompt) in enumerate(zip(due, prompts, strict=True))
    )
    job = Job(target.url, planned, {}, same.timeout_s, same.drain_s)
    driven = drive(job, lambda sent, done: tell("the same by this", done, len(planned)))
    last_s = max((record.end_s for record in driven.records), default=due[-1])
    # Like vLLM's, throughput is over the whole of it, to the last answer.
    return figures(same.model_copy(update={"seconds": last_s}), planned, driven.records)


def _prompts(count: int, rng: random.Random) -> list[str]:
    """Texts of random tokens of the demo's, no more of them than wanted after reading them again, as vLLM's benchmark
    makes them."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(demo_models().base / "tokenizer.json"))
    size = tokenizer.get_vocab_size(with_added_tokens=False)
    drawn = (tokenizer.decode([rng.randrange(size) for _ in range(_PROMPT)]) for _ in range(count))
    again = (tokenizer.encode(text, add_special_tokens=False).ids[:_PROMPT] for text in drawn)
    return [str(tokenizer.decode(ids)) for ids in again]


def _body(model: str, prompt: str) -> dict[str, object]:
    return {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": _ANSWER,
        "temperature": 0,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
