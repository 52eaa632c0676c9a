"""Routes on a real router: what reaches the replica, what the client is told, and changes while requests run."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from patchbay.router.routes.classifier import background
from tests.fakes.engine import FakeEngine, Script, revision
from tests.fakes.routers import running_router, until
from tests.integration.router.wire import ask, client_of, content, error_of, post

pytestmark = pytest.mark.anyio
TEMPLATE = {
    "id": "ticket",
    "version": 3,
    "messages": [{"role": "system", "content": "You help {{ customer }} with {{product}}."}],
    "variables": {
        "properties": {
            "customer": {"type": "string", "maxLength": 40},
            "product": {"type": "string", "default": "all"},
        },
        "required": ["customer"],
        "additionalProperties": False,
    },
    "tests": [{"variables": {"customer": "Ada"}, "contains": ["help Ada with all"]}],
}


def engine(name: str = "replica-0", *adapters: str) -> FakeEngine:
    return FakeEngine(name, revisions=tuple(revision(one) for one in adapters or ("sql", "json")))


async def test_a_route_sends_its_model_with_its_defaults_within_its_limits() -> None:
    fake = engine()
    route = {
        "model": "sql",
        "defaults": {"temperature": 0.2, "max_tokens": 50},
        "limits": {"max_tokens": 100, "top_p": 0.5},
    }
    async with running_router(fake, routes={"support": route}) as router:
        answer = await post(router, ask("support"))
        await post(router, ask("support", max_completion_tokens=5000, temperature=1.5, top_p=0.9))
    first, second = (seen.json for seen in fake.seen)
    assert content(answer).startswith("sql@1-")
    assert answer.headers["x-patchbay-route"] == "support"
    assert answer.headers["x-patchbay-adapter"] == "sql@1"
    assert (first["model"], first["temperature"], first["max_tokens"]) == ("sql@1", 0.2, 50)
    assert (second["max_completion_tokens"], second["temperature"], second["top_p"]) == (100, 1.5, 0.5)


async def test_a_route_over_the_base_names_the_base_to_the_replica() -> None:
    fake = engine()
    async with running_router(fake, routes={"chat": "demo-base"}) as router:
        answer = await post(router, ask("chat"))
    assert fake.seen[0].json["model"] == "demo-base"
    assert answer.headers["x-patchbay-arm"] == "base"


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("chat/completions", {"messages": [{"role": "user", "content": "hi"}]}, "messages"),
        ("responses", {"input": "hi"}, "instructions"),
        ("messages", {"messages": [{"role": "user", "content": "hi"}], "system": "Be brief."}, "system"),
        ("completions", {"prompt": "hi"}, "prompt"),
    ],
)
async def test_a_template_goes_before_what_the_client_says_on_every_endpoint(
    path: str, body: dict[str, Any], field: str
) -> None:
    fake = engine()
    async with running_router(fake, routes={"support": {"model": "sql", "template": TEMPLATE}}) as router:
        variables = {"variables": {"customer": "{{product}} {0.__class__}"}}
        answer = await post(router, {"model": "support", **body, **variables}, path=f"/v1/{path}")
    assert answer.status_code == 200
    assert answer.headers["x-patchbay-template"] == "ticket@3"
    sent = fake.seen[0].json
    text = str(sent[field][0]["content"] if path == "chat/completions" else sent[field])
    # One pass, and nothing but text: what looks like a variable or a format within a value stays as it is.
    assert text.startswith("You help {{product}} {0.__class__} with all.")
    assert "variables" not in sent


@pytest.mark.parametrize("variables", [{}, {"customer": 7}, {"customer": "x" * 41}, {"customer": "A", "other": 1}, [1]])
async def test_variables_that_do_not_fit_the_schema_are_a_400_that_names_the_template(variables: Any) -> None:
    fake = engine()
    async with running_router(fake, routes={"support": {"model": "sql", "template": TEMPLATE}}) as router:
        answer = await post(router, ask("support", variables=variables))
    assert answer.status_code == 400
    assert "ticket@3" in error_of(answer)["message"]
    assert not fake.seen


async def test_callers_stay_in_their_arm_on_every_router_and_are_told_which() -> None:
    fake = engine()
    split = [{"model": "sql", "weight": 1, "name": "stable"}, {"model": "json", "weight": 1, "name": "new"}]
    routes = {"help": {"split": split}}
    async with running_router(fake, routes=routes) as one, running_router(fake, routes=routes) as other:
        arms = set()
        for number in range(12):
            answers = [await post(router, ask("help", user=f"u{number}")) for router in (one, other)]
            by_session = await post(one, ask("help", user="someone"), **{"x-patchbay-session": f"s{number}"})
            again = await post(other, ask("help", user="else"), **{"x-patchbay-session": f"s{number}"})
            assert answers[0].headers["x-patchbay-arm"] == answers[1].headers["x-patchbay-arm"]
            assert by_session.headers["x-patchbay-arm"] == again.headers["x-patchbay-arm"]
            arms.add(answers[0].headers["x-patchbay-arm"])
    assert arms == {"stable", "new"}


async def test_auto_goes_by_rules_then_by_examples_then_to_the_general_route_and_says_why() -> None:
    fake = engine("replica-0", "sql", "json")
    examples = {
        "queries": [f"select the {what} of all orders in {where}" for what in ("total", "date") for where in "abcd"],
        "records": [f"give me {what} as a json object with {where}" for what in ("this", "it") for where in "abcd"],
    }
    settings = {
        "routes": {"queries": "sql", "records": "json", "general": "demo-base", "tools": "json"},
        "auto": {
            "general": "general",
            "rules": [
                {"route": "tools", "tools": True},
                {"route": "records", "header": {"x-task": "json"}},
                {"route": "queries", "metadata": {"task": "sql"}},
                {"route": "general", "language": "de"},
                {"route": "queries", "pattern": "(?i)^sql:"},
            ],
            "examples": examples,
        },
    }

    async def routed(body: dict[str, Any], **headers: str) -> tuple[str, str]:
        answer = await post(router, body, **{"x-patchbay-explain": "1", **headers})
        assert answer.status_code == 200, answer.text
        return answer.headers["x-patchbay-route"], answer.headers["x-patchbay-explain"]

    def said(text: str, **fields: Any) -> dict[str, Any]:
        return {"model": "auto", "messages": [{"role": "user", "content": text}], **fields}

    async with running_router(fake, **settings) as router:
        tool = {"type": "function", "function": {"name": "f"}}
        assert await routed(said("x", tools=[tool])) == ("tools", "rule 1: there are tools")
        assert (await routed(said("x"), **{"x-task": "json"}))[0] == "records"
        assert (await routed(said("x", metadata={"task": "sql"})))[0] == "queries"
        german = "Können Sie mir bitte sagen, wann der nächste Zug nach Hamburg fährt?"
        assert (await routed(said(german)))[1].startswith("rule 4: language de")
        assert (await routed(said("SQL: anything")))[0] == "queries"
        route, why = await routed(said("select the name of all orders in e"))
        assert route == "queries"
        assert "like queries" in why
        route, why = await routed(said(background()[3]))
        assert route == "general"
        assert "no task" in why


@pytest.mark.parametrize("fault", ["gone", "dead", "slow"])
async def test_another_route_answers_where_the_first_cannot_and_the_headers_say_so(fault: str) -> None:
    first, second = engine("replica-0", "sql"), engine("replica-1", "json")
    routes = {"main": {"model": "sql", "fallbacks": ["spare"], "timeout_s": 0.3}, "spare": "json"}
    if fault == "dead":
        first.script = Script(fault="bad_gateway_502")
    if fault == "slow":
        first.script = Script(fault="hang")
    if fault == "gone":
        routes["main"] = {"model": "never-pushed", "fallbacks": ["spare"]}
    async with running_router(first, second, routes=routes) as router:
        answer = await post(router, ask("main"))
        streamed = await post(router, ask("main", stream=True))
    assert content(answer).startswith("json@1-")
    assert answer.headers["x-patchbay-route"] == "spare"
    assert answer.headers["x-patchbay-fallback"].startswith("main: ")
    assert streamed.headers["x-patchbay-route"] == "spare"
    assert streamed.text.rstrip().endswith("data: [DONE]")


async def test_a_route_over_its_own_rate_falls_back_and_without_a_fallback_is_a_429() -> None:
    routes = {
        "main": {"model": "sql", "requests_per_minute": 1, "fallbacks": ["spare"]},
        "spare": "json",
        "alone": {"model": "sql", "requests_per_minute": 1},
    }
    async with running_router(engine(), routes=routes) as router:
        answers = [await post(router, ask("main")) for _ in range(3)]
        alone = [await post(router, ask("alone")) for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 200]
    assert "spare" in {one.headers["x-patchbay-route"] for one in answers}
    assert 429 in {one.status_code for one in alone}
    refused = next(one for one in alone if one.status_code == 429)
    assert int(refused.headers["retry-after"]) <= 60
    assert error_of(refused)["code"] == "rate_limit_exceeded"


async def test_a_route_with_a_pool_asks_only_the_replicas_in_it() -> None:
    one, other = engine("one"), engine("other")
    async with one.running_server(), other.running_server():
        replicas = [
            {"url": one.url, "name": "one", "token": one.token},
            {"url": other.url, "name": "other", "token": other.token, "pool": "large"},
        ]
        async with running_router(
            one, other, routes={"big": {"model": "sql", "pool": "large"}}, replicas=replicas
        ) as r:
            for _ in range(6):
                assert (await post(r, ask("big"))).headers["x-patchbay-replica"] == "other"


def write(file: Path, routes: Any) -> None:
    file.write_text(yaml.safe_dump({"routes": routes}))


async def test_reloading_under_load_fails_no_request_and_takes_effect_at_once(tmp_path: Path) -> None:
    fake, file = engine(), tmp_path / "patchbay.yaml"
    fake.script = Script(chunks=5, delay_s=0.005)
    write(file, {"help": "sql"})
    async with running_router(fake, policy_file=file) as router, client_of(router) as client:
        answers: list[httpx.Response] = []
        going = True

        async def caller() -> None:
            while going:
                answers.append(await client.post("/v1/chat/completions", json=ask("help", stream=True)))

        callers = [asyncio.create_task(caller()) for _ in range(8)]
        async with httpx.AsyncClient(base_url=router.admin_url) as admin:
            for turn in range(10):
                model = "json" if turn % 2 == 0 else "sql"
                write(file, {"help": model})
                assert (await admin.post("/admin/v1/reload", json={})).json()["routes"] == ["help"]
                now = await client.post("/v1/chat/completions", json=ask("help"))
                assert now.headers["x-patchbay-adapter"] == f"{model}@1"
        await until(lambda: len(answers) >= 16, timeout_s=20)
        going = False
        await asyncio.gather(*callers)
    assert all(one.status_code == 200 and one.text.rstrip().endswith("[DONE]") for one in answers)


@pytest.mark.parametrize(
    ("routes", "fault"),
    [
        ({"help": {"model": "sql", "fallback": ["x"]}}, "did you mean 'fallbacks'"),
        ({"help": {"model": "sql", "split": [{"model": "a"}]}}, "either 'model' or 'split'"),
        ({"help": {"model": "sql", "template": {**TEMPLATE, "tests": [{"contains": ["x"]}]}}}, "template ticket@3"),
    ],
)
async def test_a_wrong_configuration_is_refused_whole_and_what_was_stays(
    tmp_path: Path, routes: Any, fault: str
) -> None:
    file = tmp_path / "patchbay.yaml"
    write(file, {"help": "sql"})
    async with running_router(engine(), policy_file=file) as router:
        write(file, {"other": "json", **routes})
        async with httpx.AsyncClient(base_url=router.admin_url) as admin:
            refused = await admin.post("/admin/v1/reload", json={})
            listed = (await admin.get("/admin/v1/routes")).json()
        assert refused.status_code == 400
        assert fault in refused.json()["error"]["message"]
        assert [one["name"] for one in listed["routes"]] == ["help"]
        assert (await post(router, ask("help"))).status_code == 200
        assert (await post(router, ask("other"))).status_code == 404


async def test_without_a_replica_a_route_without_fallbacks_says_try_again() -> None:
    fake = engine()
    async with running_router(fake, routes={"help": "sql"}) as router:
        fake.phase = "draining"
        await until(lambda: not router.public_app.ready)
        answer = await post(router, ask("help"))
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
