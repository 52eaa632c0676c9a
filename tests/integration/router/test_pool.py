"""What the router keeps open to its replicas."""

import pytest

from patchbay.router.upstream.client import Call, ReplicaClient
from patchbay.router.upstream.failure import ReplicaFailure
from tests.fakes.engine import TOKEN, FakeEngine
from tests.fakes.routers import running_router
from tests.integration.router.wire import ask, post

pytestmark = pytest.mark.anyio


async def test_requests_one_after_the_other_share_a_connection() -> None:
    fake = FakeEngine()
    async with running_router(fake, poll_interval_s=60) as router:
        for stream in (False, True, False, True):
            assert (await post(router, ask(stream=stream))).status_code == 200
    assert len({seen.peer for seen in fake.seen}) == 1


async def test_what_does_not_listen_is_told_from_what_hangs_up() -> None:
    fake = FakeEngine()
    fake.script.fault = "reset"
    call = Call(
        method="POST", path="/v1/completions", headers=[(b"authorization", f"Bearer {TOKEN}".encode())], body=b"{}"
    )
    async with fake.running_server(), ReplicaClient(fake.url, connect_timeout_s=1, read_timeout_s=1) as client:
        with pytest.raises(ReplicaFailure) as hung_up:
            await client.open(call)
        await fake.stop()
        with pytest.raises(ReplicaFailure) as refused:
            await client.open(call)
    assert (hung_up.value.kind, refused.value.kind) == ("disconnect", "connect")
