"""The command behind `make mutants`, run on one small file of this project."""

import json
import subprocess
import sys

from tools.house.modules import ROOT

FILE = "router/balance/budget.py"


def test_mutants_of_a_file_are_tried_in_processes_of_their_own_and_the_file_stays_as_it_is() -> None:
    before = (ROOT / FILE).read_bytes()
    command = [sys.executable, "-m", "tools.mutants", FILE, "--sample", "4", "--seed", "3", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    [figures] = json.loads(done.stdout)
    assert (figures["room"], figures["tried"], figures["killed"]) == (FILE, 4, 4), done.stderr
    assert (ROOT / FILE).read_bytes() == before
    assert "4 of 4: killed" in done.stderr
