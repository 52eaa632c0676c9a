"""The same kind of load by vLLM's own serving benchmark and by this, one after the other on one running stack.

Streams of 32 tokens on prompts of 64 random ones, for one model, Poisson arrivals at the scenario's rate. vLLM's counts
an answer's time from its sending; this one is shown both ways.
"""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

from adapters.errors import ConfigError, PatchbayError
from loadtests.load.arrivals import due_times
from loadtests.load.driving import drive
from loadtests.load.figures import Figures, Spread, figures
from loadtests.load.records import Job, Planned
from loadtests.load.running import Tell
from loadtests.load.scenario import Arrivals, Requests, Scenario
from loadtests.load.stack import Target
from loadtests.stacks import demo_models

_ROOT = Path(__file__).parent.parent.parent
_REQUESTS = 150
_PROMPT, _ANSWER = 64, 32
_LONGEST_S = 600

Table = dict[str, tuple[float | None, float | None, float | None]]


def compare(scenario: Scenario, target: Target, tell: Tell) -> Table:
    """Rows of: vLLM's figure, this one's from sending, this one's from when due. Times in ms.

    Raises ConfigError for a scenario with tenants, PatchbayError where vLLM's benchmark fails.
    """
    if scenario.arrivals is None:
        raise ConfigError("--compare is for a scenario without tenants: vLLM's benchmark has one caller.")
    rate, model = scenario.arrivals.per_second, scenario.models[0]
    tell("vLLM's benchmark", 0, _REQUESTS)
    theirs = _vllm(target.url, model, rate)
    ours = _ours(rate, model, target, tell)
    return table(theirs, ours)


def table(theirs: dict[str, float], ours: Figures) -> Table:
    """Both, side by side. Pure."""
    counted = ours.counted
    rows: Table = {
        "answered": (theirs["completed"], counted.answered, counted.answered),
        "failed": (theirs["failed"], counted.failed, counted.failed),
        "requests a second": (theirs["request_throughput"], ours.requests_per_s, ours.requests_per_s),
        "tokens a second": (theirs["output_throughput"], ours.tokens_per_s, ours.tokens_per_s),
    }
    for name, their_name, our_name in (("mean", "mean", "mean"), ("median", "median", "p50"), ("p99", "p99", "p99")):
        sent, due = _ms(counted.ttft_from_sending, our_name), _ms(counted.ttft, our_name)
        rows[f"time to first token, {name}, ms"] = (theirs[f"{their_name}_ttft_ms"], sent, due)
    for name, their_name, our_name in (("mean", "mean", "mean"), ("median", "median", "p50"), ("p99", "p99", "p99")):
        each = _ms(counted.token_time, our_name)
        rows[f"time per token after it, {name}, ms"] = (theirs[f"{their_name}_tpot_ms"], each, each)
    return rows


def _ms(spread: Spread | None, name: str) -> float | None:
    return None if spread is None else 1000 * float(getattr(spread, name))


def _vllm(url: str, model: str, rate: float) -> dict[str, float]:
    command = [sys.executable, "-m", "loadtests.vllm_serving", "--url", url, "--model", model, "--json"]
    command += ["--requests", str(_REQUESTS), "--rate", str(rate), "--tokenizer", str(demo_models().base)]
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


def _ours(rate: float, model: str, target: Target, tell: Tell) -> Figures:
    rng = random.Random(f"compare/{rate}")  # noqa: S311 - reproducible, no secret
    seconds = _REQUESTS / rate
    arrivals = Arrivals(per_second=rate)
    same = Scenario(seconds=seconds, arrivals=arrivals, requests=Requests(models=(model,)))
    due = due_times(arrivals, seconds, rng)
    prompts = _prompts(len(due), rng)
    planned = tuple(
        Planned(number, due_s, model, "", _body(model, prompt))
        for number, (due_s, prompt) in enumerate(zip(due, prompts, strict=True))
    )
    job = Job(target.url, planned, {}, same.timeout_s, same.drain_s)
    driven = drive(job, lambda sent, done: tell("the same by this", done, len(planned)))
    last_s = max((record.end_s for record in driven.records), default=seconds)
    # Like vLLM's, throughput is over the whole of it, to the last answer.
    return figures(same.model_copy(update={"seconds": last_s}), planned, driven.records)


def _prompts(count: int, rng: random.Random) -> list[str]:
    """Texts of random tokens of the demo's, as vLLM's benchmark makes them."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(demo_models().base / "tokenizer.json"))
    size = tokenizer.get_vocab_size(with_added_tokens=False)
    return [str(tokenizer.decode([rng.randrange(size) for _ in range(_PROMPT)])) for _ in range(count)]


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
