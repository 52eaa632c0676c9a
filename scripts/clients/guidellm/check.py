"""GuideLLM on the demo: three requests, one after the other, as its command is used."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from checks import KEY, NOWHERE, URL, check, holds, run, same

TOKENIZER = os.environ["PATCHBAY_TOKENIZER"]
_TIME_LIMIT_S = 180


def benchmark(model: str, form: str, count: int = 3) -> subprocess.CompletedProcess[str]:
    """A run of so many requests; its report goes to report.json."""
    Path("report.json").unlink(missing_ok=True)
    options = {
        "backend": f"kind=openai_http,target={URL},model={model},api_key={KEY},request_format={form}",
        "profile": "kind=synchronous",
        "constraint": f"kind=max_requests,count={count}",
        "tokenizer": f"kind=huggingface_auto,model={TOKENIZER}",
        "data": "kind=synthetic_text,prompt_tokens=32,output_tokens=8",
        "output": "kind=json,path=report.json",
    }
    parts = [part for name, value in options.items() for part in (f"--{name}", value)]
    command = ["guidellm", "run", "--disable-console", *parts]
    env = os.environ | {"GUIDELLM__MAX_WORKER_PROCESSES": "1"}
    return subprocess.run(command, check=False, env=env, capture_output=True, text=True, timeout=_TIME_LIMIT_S)


def totals(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    holds(done.returncode == 0, f"ended with {done.returncode}: {done.stderr[-250:]}")
    metrics = json.loads(Path("report.json").read_text())["benchmarks"][0]["metrics"]
    return {kind: metrics["request_totals"][kind] for kind in ("successful", "incomplete", "errored")}


def _all_answered(form: str) -> str:
    found = totals(benchmark("sql", form))
    # Its own count of what succeeded was once one short, with nothing that failed.
    return holds(found["successful"] and not found["errored"] and not found["incomplete"], found)


@check("chat completions, streamed")
def chat() -> str:
    return _all_answered("/v1/chat/completions")


@check("completions, streamed")
def completions() -> str:
    return _all_answered("/v1/completions")


@check("responses, streamed")
def responses() -> str:
    return _all_answered("/v1/responses")


@check("an unknown model")
def unknown_model() -> str:
    done = benchmark(NOWHERE, "/v1/chat/completions", count=1)
    found = totals(done)
    return same(found, {"successful": 0, "incomplete": 0, "errored": 1})


run("guidellm")
