"""The log says of a registry that is out of reach what is in use meanwhile."""

import logging
from datetime import UTC, datetime
from typing import cast

import pytest

from patchbay.core.errors import RegistryError
from patchbay.registry.records import Snapshot
from patchbay.registry.registry import Registry
from patchbay.router.control.follower import Follower
from patchbay.router.fleet.fleet import Fleet
from patchbay.router.telemetry.metrics import Metrics

pytestmark = pytest.mark.anyio


class UnreadableRegistry:
    """Registry that cannot be read, or has one snapshot."""

    def __init__(self) -> None:
        self.readable = False

    def generation(self) -> int:
        if not self.readable:
            raise RegistryError("it cannot be read")
        return 0

    def snapshot(self) -> Snapshot:
        return Snapshot(generation=0, adapters={})

    def beat(self, beat: object, served: object) -> None:
        """Takes the sign of life."""


async def test_a_registry_that_was_never_read_has_no_last_state(caplog: pytest.LogCaptureFixture) -> None:
    registry, metrics = UnreadableRegistry(), Metrics()
    follower = Follower(
        cast(Registry, registry), Fleet(created=1), metrics, name="one", poll_s=1, utc_now=lambda: datetime.now(UTC)
    )
    with caplog.at_level(logging.INFO, "patchbay.router"):
        await follower.look()
    assert "nothing of it was read since the start, so nobody is let in: it cannot be read" in caplog.text
    assert "last state" not in caplog.text
    registry.readable = True
    await follower.look()
    registry.readable = False
    await follower.look()
    assert "out of reach, so its last state stays in use: it cannot be read" in caplog.text
