"""`patchbay chat`, before a real router: what people see, and what programs read."""

import asyncio
import json

import pytest
from typer.testing import CliRunner, Result

from patchbay.command import build_app
from patchbay.router.process.app import Router
from tests.fakes.engine import FakeEngine, Script, revision
from tests.fakes.routers import running_router

pytestmark = pytest.mark.anyio
RUN = CliRunner(env={"COLUMNS": "120", "TERM": "dumb"})


async def chat(router: Router, *arguments: str, text: str | None = None) -> Result:
    command = ["chat", *arguments, "--url", router.url]
    return await asyncio.to_thread(RUN.invoke, build_app(), command, input=text)


async def test_an_answer_is_shown_with_who_gave_it() -> None:
    fake = FakeEngine(revisions=(revision("sql", 3),))
    fake.script = Script(words=("SELECT ", "1"))
    async with running_router(fake) as router:
        shown = await chat(router, "sql", "-q", "a question", "--system", "be brief")
    assert shown.exit_code == 0
    assert "SELECT 1" in shown.stdout
    assert "replica-0" in shown.stdout
    assert [message["role"] for message in fake.seen[-1].json["messages"]] == ["system", "user"]


async def test_two_models_are_asked_the_same_and_shown_side_by_side() -> None:
    fake = FakeEngine(revisions=(revision("sql"),))
    fake.scripts["sql@1"] = Script(words=("left",))
    fake.script = Script(words=("right",))
    async with running_router(fake) as router:
        shown = await chat(router, "sql", "--against", "demo-base", "-q", "a question")
    line = next(line for line in shown.stdout.splitlines() if "left" in line)
    assert line.index("left") < line.index("right")


async def test_what_is_piped_in_is_the_question_and_programs_get_a_line_for_each_model() -> None:
    fake = FakeEngine()
    async with running_router(fake) as router:
        shown = await chat(router, "demo-base", "--against", "nope", "--json", text="what is\npiped\n")
    first, second = (json.loads(line) for line in shown.stdout.splitlines())
    assert shown.exit_code == 1
    assert (first["asked"], first["answer"]["model"]) == ("demo-base", "demo-base")
    assert "does not exist" in second["error"]
    assert fake.seen[-1].json["messages"][-1]["content"] == "what is\npiped"


async def test_a_model_cannot_give_orders_to_the_terminal() -> None:
    fake = FakeEngine()
    fake.script = Script(words=("\x1b]0;owned\x07", "\x1b[2J", "text"))
    async with running_router(fake) as router:
        shown = await chat(router, "demo-base", "-q", "a")
    assert "owned" in shown.stdout
    assert "\x1b]" not in shown.stdout
    assert "\x1b[2J" not in shown.stdout
    assert "\x07" not in shown.stdout


async def test_an_error_is_the_servers_own_words_and_no_traceback() -> None:
    async with running_router(FakeEngine(), api_keys=("k" * 32,)) as router:
        refused = await chat(router, "demo-base", "-q", "a")
        let_in = await chat(router, "demo-base", "-q", "a", "--key", "k" * 32)
    gone = await asyncio.to_thread(RUN.invoke, build_app(), ["chat", "x", "-q", "a", "--url", router.url])
    assert (refused.exit_code, let_in.exit_code, gone.exit_code) == (1, 0, 1)
    assert "API key" in refused.stdout
    assert "does not answer" in gone.stdout
    assert "Traceback" not in refused.stdout + gone.stdout
