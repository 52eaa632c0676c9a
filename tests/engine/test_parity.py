"""An adapter proves on the real engine that it serves as it was trained; one that was changed since is refused."""

import json
import shutil
from pathlib import Path

import pytest

from patchbay.adapters.contents import PARITY_FILE
from patchbay.core.errors import AdapterError, Conflict
from patchbay.tuning.parity.loading import write_parity_of
from tests.engine.conftest import Stack
from tests.fakes.peft_replica import ADAPTERS, change_config, demo_rows

pytestmark = pytest.mark.engine


@pytest.fixture
def adapter(stack: Stack, tmp_path: Path) -> Path:
    """One of the demo's adapters, with what PEFT answers over the stack's base."""
    folder = Path(shutil.copytree(ADAPTERS / "safety", tmp_path / "adapter"))
    write_parity_of(folder, base=stack.models.base, rows=demo_rows("safety", 12))
    return folder


def parity_of(stack: Stack, revision: str) -> str | None:
    """What the replica says of the revision's parity."""
    found = [one for one in stack.status()["revisions"] if f"{one['adapter']}@{one['number']}" == revision]
    return found[0]["parity"] if found else None


def test_a_sound_adapter_serves_without_proof_or_not_at_all(stack: Stack, adapter: Path) -> None:
    revision = stack.serve("proven", adapter)
    words = parity_of(stack, revision) or ""
    assert words.startswith("parity: 12 rows")
    stack.withdraw("proven")


def test_a_doubled_alpha_is_served_or_called_something_else(stack: Stack, adapter: Path) -> None:
    change_config(adapter, lora_alpha=64)
    revision = stack.push("doubled", adapter)
    with pytest.raises(Conflict) as refusal:
        stack.promote(revision)
    assert "it does not serve as it was trained" in str(refusal.value)
    assert ": scale: 28 of 28 modules are scaled otherwise" in str(refusal.value)


def test_a_row_with_a_token_that_the_base_has_not_reaches_the_engine(stack: Stack, adapter: Path) -> None:
    path = adapter / PARITY_FILE
    document = json.loads(path.read_text())
    document["rows"][0]["ids"][1] = 1_000_000
    path.write_text(json.dumps(document))
    with pytest.raises(AdapterError, match="row 1: 1000000 is no token: the base's tokenizer has 1536"):
        stack.push("odd", adapter)
