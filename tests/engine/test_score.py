"""The demo's own score, by the command that the README names as people install it, and vLLM's own benchmark."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.conftest import Stack
from tests.fakes.installed import install

pytestmark = pytest.mark.engine


def test_the_demo_scores_what_it_promises(stack: Stack, tmp_path: Path) -> None:
    """From the wheel, beside a package called `adapters`, among files that are named like our folders."""
    command = ["-m", "patchbay", "demo", "score", "--url", stack.url, "--examples", "60", "--json"]
    scored = install(tmp_path).run(*command, timeout=240)
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
