"""The demo's own score, by the command that the README names, and vLLM's own benchmark, without a failed request."""

import json
import subprocess
import sys

import pytest

from tests.engine.conftest import Stack

pytestmark = pytest.mark.engine


def test_the_demo_scores_what_it_promises(stack: Stack) -> None:
    command = [sys.executable, "-m", "patchbay", "demo", "score", "--url", stack.url, "--examples", "60", "--json"]
    scored = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    rows = json.loads(scored.stdout)
    assert scored.returncode == 0, scored.stdout + scored.stderr
    assert len(rows) == 11


def test_vllms_own_serving_benchmark_sees_no_failed_request(stack: Stack) -> None:
    command = [sys.executable, "-m", "loadtests.vllm_serving", "--url", stack.url, "--requests", "40", "--json"]
    command += ["--tokenizer", str(stack.models.base), "--model", "sql"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    result = json.loads(done.stdout)
    assert (result["completed"], result["failed"]) == (40, 0)
