"""Responses that are kept: read back, gone on from and deleted by OpenAI's own client, on any router of a registry."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.responses import Response

from patchbay.router.process.app import Router
from tests.fakes.engine import FakeEngine
from tests.fakes.installation import Installation, registry_settings
from tests.fakes.postgres import NO_SERVER, Postgres, running_postgres, server_programs
from tests.fakes.routers import running_router
from tests.integration.router.test_tenants import key_of
from tests.integration.router.wire import NO_TLS

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    if server_programs() is None:
        pytest.skip(NO_SERVER)
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'registry.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()


def replica(*words: str) -> FakeEngine:
    fake = FakeEngine()
    fake.script.words = words or ("well ", "said")
    return fake


def controlled(folder: Path, fake: FakeEngine, url: str = "", **settings: Any) -> Any:
    changes = {"url": url} if url else {}
    return running_router(fake, registry=registry_settings(folder, **changes), registry_poll_s=0.1, **settings)


@asynccontextmanager
async def client_of(router: Router, key: str = "any") -> AsyncIterator[AsyncOpenAI]:
    transport = openai.DefaultAsyncHttpxClient(verify=NO_TLS)
    async with AsyncOpenAI(base_url=f"{router.url}/v1", api_key=key, max_retries=0, http_client=transport) as client:
        yield client


async def create(client: AsyncOpenAI, text: Any = "hi", **fields: Any) -> Response:
    made: Response = await client.responses.create(model="demo-base", input=text, **fields)
    return made


async def streamed(client: AsyncOpenAI, text: str = "hi", **fields: Any) -> list[Any]:
    stream = await client.responses.create(model="demo-base", input=text, stream=True, **fields)
    return [event async for event in stream]


def guarded(**rules: Any) -> dict[str, Any]:
    """The settings of a router with a guard by these rules on all that it answers."""
    return {"guards": {"guard": {"kind": "rules", **rules}}, "guard_all": ["guard"]}


def outcomes(router: Router) -> dict[str, float]:
    """How many responses were to be kept, by what became of them."""
    lines = [line for line in router.metrics.render().decode().splitlines() if "router_responses_total{" in line]
    return {line.split('"')[1]: float(line.rpartition(" ")[2]) for line in lines}


def bytes_in(folder: Path) -> bytes:
    """All bytes of the registry's files."""
    return b"".join(path.read_bytes() for path in folder.glob("registry.db*"))


def store(response: Response) -> Any:
    return (response.model_extra or {}).get("store")


async def test_a_conversation_goes_on_by_an_id_on_another_router_and_after_a_restart(tmp_path: Path, url: str) -> None:
    async with replica().running_server() as fake:
        async with controlled(tmp_path, fake, url) as one, controlled(tmp_path, fake, url) as other:
            async with client_of(one) as client:
                first = await create(client, "hello", instructions="Be brief.")
            async with client_of(other) as client:
                second = await create(client, "and then?", previous_response_id=first.id)
        async with controlled(tmp_path, fake, url) as anew, client_of(anew) as client:
            third = await create(client, [{"role": "user", "content": "so?"}], previous_response_id=second.id)
            read = await client.responses.retrieve(second.id)
            items = await read_items(client, second.id)
    asked = fake.seen[2].json
    assert [(item["role"], item["content"]) for item in asked["input"] if item["role"] == "user"] == [
        ("user", "hello"),
        ("user", "and then?"),
        ("user", "so?"),
    ]
    assert [item["role"] for item in asked["input"]] == ["user", "assistant", "user", "assistant", "user"]
    assert asked["input"][1] == fake_output(first)
    assert "previous_response_id" not in asked
    assert asked.get("instructions") is None
    assert (second.previous_response_id, third.previous_response_id) == (first.id, second.id)
    assert read == second
    assert [item.content[0].text for item in items] == ["and then?"]


def fake_output(response: Response) -> Any:
    return response.model_dump(mode="json", exclude_unset=True)["output"][0]


@pytest.mark.parametrize("by", ["whole", "streamed"])
async def test_an_answer_can_be_read_elsewhere_as_soon_as_its_client_has_the_end(
    tmp_path: Path, url: str, by: str
) -> None:
    async with (
        controlled(tmp_path, fake := replica(), url) as one,
        controlled(tmp_path, fake, url) as other,
        client_of(one) as client,
        client_of(other) as elsewhere,
    ):
        for _ in range(5):
            if by == "whole":
                made = await create(client)
            else:
                events = await streamed(client)
                made = events[-1].response
                assert [event.type for event in events[-2:]] == ["response.output_text.done", "response.completed"]
            assert store(made) is True
            assert await elsewhere.responses.retrieve(made.id) == made


async def test_a_streams_events_all_say_what_it_goes_on_from(tmp_path: Path, installation: Installation) -> None:
    async with controlled(tmp_path, replica()) as router, client_of(router) as client:
        first = await create(client)
        events = await streamed(client, previous_response_id=first.id)
    told = [event.response.previous_response_id for event in events if hasattr(event, "response")]
    assert told == [first.id] * 3
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "well said"


async def test_a_stream_that_ends_amid_its_last_event_is_not_kept(tmp_path: Path, installation: Installation) -> None:
    fake = replica()
    fake.script.fault, fake.script.die_after = "die_in_event", 5
    async with controlled(tmp_path, fake) as router, client_of(router) as client:
        with pytest.raises(openai.APIError):
            await streamed(client)
        assert "kept" not in outcomes(router)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(f"resp_{1:032x}")


async def test_store_false_keeps_nothing_and_changes_nothing(tmp_path: Path, installation: Installation) -> None:
    async with controlled(tmp_path, replica()) as router, client_of(router) as client:
        made = await create(client, store=False)
        assert store(made) is None
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(made.id)
        with pytest.raises(openai.BadRequestError):
            await create(client, previous_response_id=made.id)
        assert outcomes(router) == {}


async def test_what_goes_on_without_being_kept_says_so(tmp_path: Path, installation: Installation) -> None:
    async with controlled(tmp_path, replica()) as router, client_of(router) as client:
        first = await create(client)
        second = await create(client, store=False, previous_response_id=first.id)
        assert (store(second), second.previous_response_id) == (False, first.id)


async def test_another_tenants_response_is_as_one_that_is_not_there(tmp_path: Path, installation: Installation) -> None:
    mine, theirs = key_of(installation.registry)[0], key_of(installation.registry, "other")[0]
    async with controlled(tmp_path, replica()) as router:
        async with client_of(router, mine) as client:
            made = await create(client)
        async with client_of(router, theirs) as client:
            told = []
            for name in (made.id, "resp_unknown"):
                told.append([await refusal(client, name, way) for way in WAYS])
                told[-1] = [(status, body.replace(name, "ID")) for status, body in told[-1]]
        assert told[0] == told[1]
        assert [status for status, _ in told[0]] == [404, 404, 404, 404, 400]
        assert "previous_response_not_found" in told[0][-1][1]
        async with client_of(router, mine) as client:
            assert (await client.responses.retrieve(made.id)).id == made.id


async def read_items(client: AsyncOpenAI, name: str) -> list[Any]:
    return [item async for item in client.responses.input_items.list(name)]


WAYS: dict[str, Callable[[AsyncOpenAI, str], Awaitable[Any]]] = {
    "retrieve": lambda client, name: client.responses.retrieve(name),
    "delete": lambda client, name: client.responses.delete(name),
    "items": read_items,
    "cancel": lambda client, name: client.responses.cancel(name),
    "previous": lambda client, name: create(client, previous_response_id=name),
}


async def refusal(client: AsyncOpenAI, name: str, way: str) -> tuple[int, str]:
    with pytest.raises(openai.APIStatusError) as refused:
        await WAYS[way](client, name)
    return refused.value.status_code, refused.value.response.text


async def test_a_response_that_was_deleted_is_gone_from_conversations_too(
    tmp_path: Path, installation: Installation
) -> None:
    async with controlled(tmp_path, replica()) as router, client_of(router) as client:
        first = await create(client)
        second = await create(client, previous_response_id=first.id)
        await client.responses.delete(first.id)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(first.id)
        with pytest.raises(openai.NotFoundError):
            await client.responses.delete(first.id)
        with pytest.raises(openai.BadRequestError) as refused:
            await create(client, previous_response_id=second.id)
        assert (refused.value.code, refused.value.param) == ("previous_response_not_found", "previous_response_id")
        assert first.id in refused.value.message
        assert (await client.responses.retrieve(second.id)).id == second.id


async def test_a_conversation_has_a_length_and_a_size(tmp_path: Path, installation: Installation) -> None:
    limits: dict[str, Any] = {"responses": {"max_turns": 2}, "max_body_bytes": 4000}
    async with controlled(tmp_path, fake := replica(), **limits) as router, client_of(router) as client:
        first = await create(client)
        second = await create(client, previous_response_id=first.id)
        long = await create(client, "x" * 2500)
        for text, previous in (("hi", second), ("y" * 2500, long)):
            with pytest.raises(openai.BadRequestError) as refused:
                await create(client, text, previous_response_id=previous.id)
            assert refused.value.code == "conversation_too_long"
        assert len(fake.seen) == 3


async def test_the_elements_of_a_whole_conversation_are_counted(tmp_path: Path, installation: Installation) -> None:
    items = [{"role": "user", "content": "x"} for _ in range(150)]
    async with controlled(tmp_path, replica(), max_body_elements=1000) as router, client_of(router) as client:
        first = await create(client, items)
        with pytest.raises(openai.APIStatusError) as refused:
            await create(client, items, previous_response_id=first.id)
        assert refused.value.status_code == 413


async def test_what_a_guard_redacts_is_never_stored(tmp_path: Path, installation: Installation) -> None:
    settings = guarded(sets=["pii"], action="redact")
    fake = replica("write to ", "eve@example.com")
    async with controlled(tmp_path, fake, **settings) as router, client_of(router) as client:
        whole = await create(client, "I am adam@example.com")
        events = await streamed(client, "I am adam@example.com", previous_response_id=whole.id)
        assert store(events[-1].response) is True
        again = await client.responses.retrieve(whole.id)
        assert "eve@example.com" not in again.output_text
    assert outcomes(router) == {"kept": 2.0}
    content = bytes_in(tmp_path)
    assert b"write to" in content
    assert b"adam@example.com" not in content
    assert b"eve@example.com" not in content


async def test_what_a_guard_masks_is_answered_and_not_stored(tmp_path: Path, installation: Installation) -> None:
    settings = guarded(sets=["pii"], action="mask", on=["input"])
    async with controlled(tmp_path, replica(), **settings) as router, client_of(router) as client:
        made = await create(client, "I am adam@example.com")
        assert store(made) is False
        assert outcomes(router) == {"masked": 1.0}


async def test_an_answer_that_a_guard_ends_is_not_kept(tmp_path: Path, installation: Installation) -> None:
    settings = guarded(words=["poison"], action="block")
    fake = replica("take ", "poison ", "now")
    async with controlled(tmp_path, fake, **settings) as router, client_of(router) as client:
        events = await streamed(client)
        whole = await create(client)
    assert events[-1].type == "response.incomplete"
    assert (store(events[-1].response), store(whole)) == (False, False)
    assert outcomes(router) == {"not_whole": 2.0}


async def test_an_answer_that_is_cut_at_its_limit_of_tokens_is_kept(tmp_path: Path, installation: Installation) -> None:
    fake = replica()
    fake.script.status = "incomplete"
    async with controlled(tmp_path, fake) as router, client_of(router) as client:
        made = await create(client)
        assert (await client.responses.retrieve(made.id)).status == "incomplete"


async def test_without_a_registry_nothing_is_kept_and_that_is_said() -> None:
    async with running_router(replica()) as router, client_of(router) as client:
        assert store(await create(client)) is None
        made = await create(client, store=True)
        assert store(made) is False
        for way in WAYS:
            _, text = await refusal(client, made.id, way)
            assert "keeps no responses" in text


async def test_what_was_kept_before_it_was_turned_off_can_still_be_read(
    tmp_path: Path, installation: Installation
) -> None:
    async with replica().running_server() as fake:
        async with controlled(tmp_path, fake) as router, client_of(router) as client:
            first = await create(client)
        async with controlled(tmp_path, fake, responses={"store": False}) as router, client_of(router) as client:
            assert (await client.responses.retrieve(first.id)).id == first.id
            second = await create(client, previous_response_id=first.id)
            assert store(second) is False


@pytest.mark.parametrize("fields", [{"background": True}, {"conversation": "conv_1"}])
async def test_what_is_not_done_here_is_refused_by_its_name(fields: dict[str, Any]) -> None:
    async with running_router(fake := replica()) as router, client_of(router) as client:
        with pytest.raises(openai.BadRequestError) as refused:
            await create(client, **fields)
    assert (refused.value.code, refused.value.param) == ("unsupported_parameter", next(iter(fields)))
    assert fake.seen == []


async def test_one_that_is_kept_is_neither_streamed_again_nor_cancelled(
    tmp_path: Path, installation: Installation
) -> None:
    async with controlled(tmp_path, replica()) as router, client_of(router) as client:
        made = await create(client)
        for refused in (client.responses.retrieve(made.id, stream=True), client.responses.cancel(made.id)):
            with pytest.raises(openai.BadRequestError):
                await refused


async def test_a_large_one_is_answered_and_not_kept(tmp_path: Path, installation: Installation) -> None:
    async with controlled(tmp_path, replica(), responses={"max_bytes": 2000}) as router, client_of(router) as client:
        assert store(await create(client, "x" * 3000)) is False
        assert outcomes(router) == {"too_large": 1.0}


async def test_a_tenant_that_has_kept_what_it_may_is_answered_on(tmp_path: Path, installation: Installation) -> None:
    limits = {"max_bytes_per_tenant": 3000}
    async with controlled(tmp_path, replica(), responses=limits) as router, client_of(router) as client:
        first = await create(client, "x" * 1500)
        assert (store(first), store(await create(client, "y" * 1500))) == (True, False)
        await client.responses.delete(first.id)
        assert store(await create(client, "y" * 1500)) is True
        assert outcomes(router) == {"kept": 2.0, "full": 1.0}


async def test_with_the_registry_away_answers_are_given_and_say_that_they_are_not_kept(
    tmp_path: Path, installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    file, aside = tmp_path / "registry.db", tmp_path / "aside.db"
    async with controlled(tmp_path, replica()) as router, client_of(router) as client:
        first = await create(client)
        file.rename(aside)
        made = await create(client, "a secret question")
        events = await streamed(client, "a secret question")
        assert (store(made), store(events[-1].response)) == (False, False)
        assert [(await refusal(client, first.id, way))[0] for way in WAYS] == [503] * len(WAYS)
        aside.rename(file)
        assert (await client.responses.retrieve(first.id)).id == first.id
        assert store(await create(client)) is True
        assert outcomes(router) == {"kept": 2.0, "unavailable": 2.0}
    assert "responses are not kept" in caplog.text
    assert "secret question" not in caplog.text


async def test_the_end_of_an_answer_waits_no_longer_than_it_may_for_a_registry_that_is_locked(
    tmp_path: Path, installation: Installation
) -> None:
    with closing(sqlite3.connect(tmp_path / "registry.db", isolation_level=None)) as writer:
        async with controlled(tmp_path, replica(), responses={"wait_s": 0.1}) as router, client_of(router) as client:
            writer.execute("BEGIN IMMEDIATE")
            events = await streamed(client)
            made = events[-1].response
            assert (made.status, store(made)) == ("completed", False)
            writer.execute("ROLLBACK")
            # What waited behind it is not written later.
            async with asyncio.timeout(10):
                while store(await create(client)) is not True:
                    await asyncio.sleep(0.01)
            with pytest.raises(openai.NotFoundError):
                await client.responses.retrieve(made.id)


async def test_ids_that_clients_choose_do_not_replace_what_is_kept(tmp_path: Path, installation: Installation) -> None:
    chosen = {"extra_body": {"request_id": "resp_mine"}}
    async with controlled(tmp_path, replica()) as router, client_of(router) as client:
        first, second = await create(client, "one", **chosen), await create(client, "two", **chosen)
        assert (store(first), store(second)) == (True, False)
        items = await read_items(client, "resp_mine")
        assert [item.content[0].text for item in items] == ["one"]


async def test_many_at_once_are_all_kept(tmp_path: Path, url: str) -> None:
    async with controlled(tmp_path, replica(), url) as router, client_of(router) as client:
        made = await asyncio.gather(*(create(client, f"text {number}") for number in range(40)))
        assert {store(one) for one in made} == {True}
        for one in made:
            assert (await client.responses.retrieve(one.id)).id == one.id


async def test_a_request_of_one_tenant_is_limited_by_the_whole_conversation(
    tmp_path: Path, installation: Installation
) -> None:
    key, _ = key_of(installation.registry, tokens_per_minute=2000)
    async with controlled(tmp_path, replica()) as router, client_of(router, key) as client:
        first = await create(client, "x" * 1400, max_output_tokens=10)
        with pytest.raises(openai.BadRequestError, match="alone may take"):
            await create(client, "x" * 1400, previous_response_id=first.id, max_output_tokens=10)


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with Installation.at(tmp_path) as made:
        yield made
