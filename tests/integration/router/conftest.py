from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.installation import Installation
from tests.fakes.turns import frozen_heap, quick_router

__all__ = ["frozen_heap", "quick_router"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with Installation.at(tmp_path) as made:
        yield made
