"""Replicas that come and go with the addresses of a name."""

import asyncio
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from patchbay.core.errors import RegistryError
from patchbay.registry.records import ReplicaAddress
from patchbay.registry.registry import Registry
from patchbay.router.discovery.members import Members, members_of
from patchbay.router.fleet.fleet import Fleet
from patchbay.router.settings.config import ReplicaConfig, RouterConfig
from patchbay.router.upstream.client import Call
from tests.fakes.engine import TOKEN, FakeEngine
from tests.fakes.routers import running_router, until
from tests.integration.router.wire import post

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Names:
    """A name service: addresses by host. A host that is not there cannot be looked up."""

    def __init__(self, **hosts: list[str]) -> None:
        self.hosts = hosts

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        if host not in self.hosts:
            raise socket.gaierror(-2, "Name or service not known")
        return self.hosts[host]


def config(*urls: str) -> RouterConfig:
    return RouterConfig.model_validate({"replicas": [{"url": url, "token": "t"} for url in urls], "dns_interval_s": 60})


def test_a_name_stands_for_a_replica_at_each_address_and_doubles_count_once() -> None:
    entries = config("http://10.0.0.1:9001", "dns+http://pods:9001/").replicas
    members = members_of(entries, {"dns+http://pods:9001": ["10.0.0.2", "10.0.0.1", "10.0.0.2", "fd00::1"]})
    assert [(member.name, member.url) for member in members] == [
        ("10.0.0.1:9001", "http://10.0.0.1:9001"),
        ("10.0.0.2:9001", "http://10.0.0.2:9001"),
        ("[fd00::1]:9001", "http://[fd00::1]:9001"),
    ]
    assert {member.token for member in members} == {"t"}


async def test_replicas_follow_the_name_and_stay_while_it_cannot_be_looked_up() -> None:
    names, fleet = Names(pods=["10.0.0.1", "10.0.0.2"]), Fleet(created=1)
    async with Members(config("dns+http://pods:9001"), fleet, names) as members:
        assert [one.name for one in fleet.view.replicas] == ["10.0.0.1:9001", "10.0.0.2:9001"]
        fleet.mark_unready("10.0.0.2:9001", "it is known")
        names.hosts = {"pods": ["10.0.0.2", "10.0.0.3"]}
        await members.look()
        assert [(one.name, one.reason) for one in fleet.view.replicas] == [
            ("10.0.0.2:9001", "it is known"),
            ("10.0.0.3:9001", "not seen yet"),
        ]
        assert set(members.links) == {"10.0.0.2:9001", "10.0.0.3:9001"}
        names.hosts = {}
        await members.look()
        assert len(fleet.view.replicas) == 2


async def test_what_is_said_of_a_replica_that_has_gone_changes_nothing() -> None:
    names, fleet = Names(pods=["10.0.0.1"]), Fleet(created=1)
    async with Members(config("dns+http://pods:9001"), fleet, names) as members:
        gone = fleet.get("10.0.0.1:9001")
        names.hosts = {"pods": []}
        await members.look()
        fleet.put(gone)
        fleet.mark_unready(gone.name, "refused")
        fleet.doubt(gone.name)
        assert fleet.view.replicas == ()


async def test_a_router_finds_its_replicas_by_a_name_and_serves() -> None:
    fake = FakeEngine()
    async with fake.running_server():
        entry = ReplicaConfig(url=f"dns+http://localhost:{fake.port}", token=SecretStr(TOKEN))
        async with running_router(replicas=(entry,), dns_interval_s=0.05) as router:
            await until(lambda: router.public_app.ready)
            answer = await post(router)
    assert answer.status_code == 200
    assert answer.headers["x-patchbay-replica"] == f"127.0.0.1:{fake.port}"


async def test_an_answer_goes_on_when_its_replica_leaves_the_name() -> None:
    fake = FakeEngine()
    fake.script.gate = asyncio.Semaphore(0)
    async with fake.running_server():
        names, fleet = Names(pods=["127.0.0.1"]), Fleet(created=1)
        async with Members(config(f"dns+http://pods:{fake.port}"), fleet, names) as members:
            client = members.links[f"127.0.0.1:{fake.port}"].client
            body = b'{"model":"demo-base","stream":true,"messages":[]}'
            headers = [(b"authorization", f"Bearer {TOKEN}".encode()), (b"content-type", b"application/json")]
            fake.script.gate.release()
            answer = await client.open(Call(method="POST", path="/v1/chat/completions", headers=headers, body=body))
            names.hosts = {"pods": []}
            await members.look()
            assert members.links, "the connection was cut"
            for _ in range(9):
                fake.script.gate.release()
            parts: list[bytes] = []
            await answer.pump(parts.append)
            answer.close()
            await members.look()
            assert b"[DONE]" in b"".join(parts)
            assert not members.links


async def test_replicas_follow_the_registry_and_stay_while_it_is_out_of_reach() -> None:
    listed = [
        ReplicaAddress(name=name, url=f"http://10.0.0.{n}:9001", added_by="me", added_at=NOW)
        for n, name in enumerate("ab", 1)
    ]

    def ask() -> list[ReplicaAddress]:
        if not listed:
            raise RegistryError("it is away")
        return list(listed)

    fleet = Fleet(created=1)
    settings = {"replicas": ["registry"], "registry": {}, "dns_interval_s": 60}
    async with Members(RouterConfig.model_validate(settings), fleet, listed=ask) as members:
        assert [one.name for one in fleet.view.replicas] == ["a", "b"]
        fleet.mark_unready("a", "known")
        before = members.links["b"]
        listed[1] = ReplicaAddress(name="b", url="http://10.0.0.3:9001", added_by="me", added_at=NOW)
        await members.look()
        assert [(one.url, one.reason) for one in fleet.view.replicas] == [
            ("http://10.0.0.1:9001", "known"),
            ("http://10.0.0.3:9001", "not seen yet"),
        ]
        assert members.links["b"] is not before
        listed.clear()
        await members.look()
        assert len(fleet.view.replicas) == 2


async def test_a_replica_that_is_added_by_command_serves_and_one_that_is_removed_does_not(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'registry.db'}"
    fake = FakeEngine()
    settings = {"registry": {"url": url, "artifacts": {"url": str(tmp_path / "artifacts")}}, "dns_interval_s": 0.05}
    entry = ReplicaConfig(url="registry", token=SecretStr(TOKEN))
    async with fake.running_server(), running_router(replicas=(entry,), **settings) as router:
        assert (await post(router)).status_code == 503
        with Registry.open(url) as registry:
            registry.add_replica("gpu-1", fake.url, actor="me")
            await until(lambda: router.public_app.ready)
            answer = await post(router)
            assert (answer.status_code, answer.headers["x-patchbay-replica"]) == (200, "gpu-1")
            registry.remove_replica("gpu-1", actor="me")
        await until(lambda: not router.fleet.view.replicas)
        assert (await post(router)).status_code == 503


def test_replicas_in_a_registry_need_a_registry() -> None:
    with pytest.raises(ValidationError, match="there is none: set 'registry'"):
        RouterConfig.model_validate({"replicas": ["registry"]})
