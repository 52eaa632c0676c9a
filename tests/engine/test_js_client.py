"""The official `openai` client for JavaScript, on real vLLM."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.engine.conftest import Stack

pytestmark = pytest.mark.engine
SUITE = Path(__file__).parent / "js"


@pytest.mark.skipif(not (SUITE / "node_modules").is_dir(), reason="no Node.js with npm: the client is not installed")
def test_the_javascript_clients_conformance_suite_passes(stack: Stack) -> None:
    node = shutil.which("node")
    assert node is not None
    ended = subprocess.run(
        [node, "--test", "conformance.test.mjs"],
        cwd=SUITE,
        env=os.environ | {"PATCHBAY_URL": stack.url},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-2000:]
    assert " pass 11\n" in ended.stdout
