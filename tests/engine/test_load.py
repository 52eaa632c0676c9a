import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.conftest import Stack

pytestmark = pytest.mark.engine

SCENARIO = """
seconds: 6
warm_s: 1
arrivals: {per_second: 4}
requests: {models: [sql, label, json, style], cancels: 0.2, tokens: [8, 32]}
slo: {availability: 1, error_share: 0}
"""


def test_a_load_scenario_on_the_real_engine_meets_its_targets(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "short.yaml"
    file.write_text(SCENARIO)
    command = [sys.executable, "-m", "patchbay", "load", "run", str(file), "--url", stack.url, "--json"]
    command += ["--report", str(tmp_path / "report")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    told = json.loads(done.stdout)
    assert told["figures"]["counted"]["token_time"]["count"] > 0
    assert told["figures"]["by_revision"].keys() >= {"sql@1"}
    assert (tmp_path / "report" / "report.html").stat().st_size > 0
