"""Another checkout is measured with its own code, whichever layout it has."""

import sys
from pathlib import Path

from loadtests.overhead.targets import Place, Target, elsewhere

OURS = Target("patchbay", Path(sys.executable), lambda place: [sys.executable, "-m", "patchbay.router", "--port", "1"])


def test_a_checkout_of_today_is_measured_with_our_code(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    command = elsewhere(OURS, tmp_path).command(Place(1, "http://127.0.0.1:2", tmp_path))
    assert command[:4] == ["env", "-C", str(tmp_path), f"PYTHONPATH={tmp_path / 'src'}"]
    assert command[5:7] == ["-m", "patchbay.router"]


def test_a_checkout_from_before_the_one_import_name_is_not_started(tmp_path: Path) -> None:
    command = elsewhere(OURS, tmp_path).command(Place(1, "http://127.0.0.1:2", tmp_path))
    assert command[:3] == ["env", "-C", str(tmp_path)]
    assert command[4:6] == ["-m", "router"]
