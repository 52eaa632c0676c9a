"""The rules, by Prometheus' own tool: they can be loaded, and fire when they should."""

import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "deploy" / "observability"
NO_PROMTOOL = "promtool is not installed (Debian: apt-get install prometheus), so the alerts are not tested here"
PROMTOOL = shutil.which("promtool") or ""
pytestmark = pytest.mark.skipif(not PROMTOOL, reason=NO_PROMTOOL)


def promtool(*arguments: str) -> str:
    """What it says. Fails with that where it is not content."""
    done = subprocess.run([PROMTOOL, *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def test_prometheus_would_refuse_the_rules() -> None:
    assert "SUCCESS" in promtool("check", "rules", "rules.yaml")


@pytest.mark.parametrize("file", ["rules_test.yaml", "rules_slow_test.yaml"])
def test_an_alert_stays_silent_on_what_it_is_for_or_fires_on_what_is_well(file: str) -> None:
    assert "SUCCESS" in promtool("test", "rules", file)
