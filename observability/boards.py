"""The list of all dashboards, and the content of their files."""

import json
from pathlib import Path

from observability.adapters import ADAPTERS
from observability.canary import CANARY
from observability.engine import ENGINE
from observability.overview import OVERVIEW
from observability.panels import document
from observability.tenants import TENANTS

OUTPUT = Path(__file__).parent.parent / "deploy" / "observability" / "dashboards"
BOARDS = (OVERVIEW, ADAPTERS, CANARY, TENANTS, ENGINE)


def files() -> dict[str, str]:
    """Generates the content of each dashboard's file, by its name."""
    return {f"{board.uid}.json": json.dumps(document(board), indent=2) + "\n" for board in BOARDS}
