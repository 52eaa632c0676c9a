"""Guards in a router: prompts and answers on every way that they can take."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.fakes.engine import FakeEngine, Script, revision
from tests.fakes.routers import running_router
from tests.integration.router.wire import ask, content, events, post

pytestmark = pytest.mark.anyio
CARD = "4111 1111 1111 1111"
MAIL = "jane.doe@example.org"
WORDS = ("Her card is 4111 ", "1111 1111 ", "1111 and her mail jane", ".doe@exam", "ple.org. ", "Good bye.")
CLEAN = "Her card is [CARD] and her mail [EMAIL]. Good bye."
PII = {"kind": "rules", "sets": ["pii"], "action": "redact"}
SECRETS = {"kind": "rules", "sets": ["secrets"], "action": "block"}
KEY = "AKIA" + "Q3EGRXH7" * 2


def engine(*words: str) -> FakeEngine:
    fake = FakeEngine("replica-0", revisions=(revision("sql"), revision("json")))
    fake.script = Script(words=words or WORDS)
    return fake


def config(**guards: Any) -> dict[str, Any]:
    return {"routes": {"r": {"model": "sql", "guards": list(guards)}}, "guards": guards}


def said(text: str, field: str = "content") -> str:
    """A stream's text."""
    deltas = [one["choices"][0]["delta"] for one in events(text) if one != "[DONE]" and one["choices"]]
    return "".join(delta.get(field) or "" for delta in deltas)


async def test_what_streams_and_what_does_not_differ_or_tell_a_card() -> None:
    async with running_router(engine(), **config(pii=PII)) as router:
        stream = await post(router, ask("r", stream=True))
        whole = await post(router, ask("r"))
    assert said(stream.text) == CLEAN == content(whole)
    for text in (stream.text, whole.text):
        assert "1111" not in text
        assert "jane" not in text
    assert "EMAIL" in whole.headers["x-patchbay-guards"]
    assert "output redact" in whole.headers["x-patchbay-guards"]
    # The head of a stream goes out before anything of the answer is found.
    assert "x-patchbay-guards" not in stream.headers
    assert int(whole.headers["content-length"]) == len(whole.content)
    assert events(stream.text)[-1] == "[DONE]"


async def test_guards_that_found_nothing_are_not_in_the_header() -> None:
    async with running_router(engine(), **config(pii=PII, secrets=SECRETS)) as router:
        answer = await post(router, ask("r"))
        nothing = await post(router, ask("r", messages=[{"role": "user", "content": "my key is hidden"}], stream=True))
    assert answer.headers["x-patchbay-guards"].startswith("pii=")
    assert "secrets" not in answer.headers["x-patchbay-guards"]
    assert "x-patchbay-guards" not in nothing.headers


async def test_a_model_that_is_called_by_its_own_name_has_no_guards() -> None:
    async with running_router(engine(), guards={"pii": PII}, guard_all=["pii"]) as router:
        answer = await post(router, ask("sql"))
    assert content(answer) == CLEAN


async def test_a_blocked_prompt_reaches_an_engine() -> None:
    fake = engine()
    async with running_router(fake, **config(secrets=SECRETS)) as router:
        body = ask("r", messages=[{"role": "user", "content": [{"type": "text", "text": f"my key is {KEY}"}]}])
        answer = await post(router, body)
        metrics = router.metrics.render().decode()
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "content_filter"
    assert KEY not in answer.text
    assert not fake.seen
    assert (
        'patchbay_router_guard_verdicts_total{action="block",guard="secrets",kind="SECRET",side="input"} 1.0' in metrics
    )


async def test_a_block_amid_a_stream_lets_the_engine_work_on_or_breaks_the_client() -> None:
    fake = engine("so the key is ", KEY[:9], KEY[9:], " and", *("more " * 200).split())
    fake.script.delay_s = 0.02
    async with running_router(fake, **config(secrets=SECRETS)) as router:
        client = openai.AsyncOpenAI(base_url=f"{router.url}/v1", api_key="none", max_retries=0)
        async with client:
            stream = await client.chat.completions.create(
                model="r",
                messages=[{"role": "user", "content": "hi"}],
                stream=True,
                stream_options={"include_usage": True},
            )
            chunks = [chunk async for chunk in stream]
        await fake.seen[0].finished.wait()
    assert "".join(one.choices[0].delta.content or "" for one in chunks if one.choices) == "so the key is "
    assert [one.choices[0].finish_reason for one in chunks if one.choices][-1] == "content_filter"
    assert chunks[-1].usage is not None
    assert fake.seen[0].cancelled.is_set()


async def test_a_redacted_prompt_goes_to_the_engine_as_it_was() -> None:
    fake = engine("fine")
    async with running_router(fake, **config(pii=PII)) as router:
        await post(router, ask("r", messages=[{"role": "user", "content": f"Mail {MAIL} now"}]))
    assert fake.seen[0].json["messages"][0]["content"] == "Mail [EMAIL] now"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_masked_prompt_tells_the_engine_or_the_mask_stays_in_the_answer(stream: bool) -> None:
    fake = engine("x")
    mask = {**PII, "action": "mask", "on": ["input"]}
    async with running_router(fake, **config(pii=mask)) as router:
        await post(router, ask("r", messages=[{"role": "user", "content": f"Mail {MAIL}, I said {MAIL}"}]))
        sent = fake.seen[0].json["messages"][0]["content"]
        assert MAIL not in sent
        assert sent.count("[EMAIL_") == 2
        assert sent[5:23] == sent[-18:]
    echo = EchoEngine("replica-0", revisions=(revision("sql"),))
    async with running_router(echo, **config(pii=mask)) as router:
        body = ask("r", stream=stream, messages=[{"role": "user", "content": f"Mail {MAIL} now"}])
        answer = await post(router, body)
    assert (said(answer.text) if stream else content(answer)) == f"Mail {MAIL} now"


class EchoEngine(FakeEngine):
    """Says what it was told, three characters at a time."""

    def _words(self, seen: Any) -> list[str]:
        text = seen.json["messages"][-1]["content"]
        return [text[at : at + 3] for at in range(0, len(text), 3)]


async def test_a_guard_that_reroutes_answers_itself() -> None:
    fake = engine("fine")
    guards = {"pii": {**PII, "action": "route", "route": "safe", "on": ["input"]}}
    routes = {"r": {"model": "sql", "guards": ["pii"]}, "safe": {"model": "json"}}
    async with running_router(fake, routes=routes, guards=guards) as router:
        answer = await post(router, ask("r", messages=[{"role": "user", "content": f"Mail {MAIL}"}]))
    assert answer.headers["x-patchbay-adapter"] == "json@1"
    assert answer.headers["x-patchbay-rerouted"] == "pii: safe"


async def test_a_dry_run_changes_an_answer_or_counts_nothing() -> None:
    async with running_router(engine(), **config(pii={**PII, "dry_run": True})) as router:
        answer = await post(router, ask("r"))
        metrics = router.metrics.render().decode()
    assert content(answer) == "".join(WORDS)
    assert 'action="flag",guard="pii",kind="CARD",side="output"}' in metrics
    assert "dry-run" in answer.headers["x-patchbay-guards"]


async def test_what_is_found_is_noted_with_its_text_or_not_at_all(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "patchbay.audit")
    async with running_router(engine(), **config(pii=PII), guard_key="k") as router:
        await post(router, ask("r"))
        await post(router, ask("r"))
    noted = [json.loads(one.getMessage()) for one in caplog.records if one.name == "patchbay.audit"]
    found = {(one["kind"], one["action"], one["side"], *one["span"], one["mark"]) for one in noted}
    assert {one[:-1] for one in found} == {("CARD", "redact", "output", 12, 31), ("EMAIL", "redact", "output", 45, 65)}
    # The same thing has the same mark each time.
    assert len(found) == 2
    assert "1111 1111" not in caplog.text
    assert "jane" not in caplog.text


async def test_a_stream_that_goes_on_elsewhere_tells_what_was_cut_by_the_death() -> None:
    engines = [FakeEngine(f"replica-{number}", revisions=(revision("sql"),)) for number in (0, 1)]
    for one in engines:
        one.script = Script(words=WORDS)
    engines[0].script.fault, engines[0].script.die_after = "die", 2
    engines[1].running = 5
    async with running_router(*engines, **config(pii=PII)) as router:
        answer = await post(router, ask("r", stream=True))
    assert engines[1].seen, "the first one did not die"
    assert said(answer.text) == CLEAN


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_from_the_cache_or_a_shadows_is_not_filtered(stream: bool) -> None:
    fake = engine()
    route = {"model": "sql", "guards": ["pii"], "cache": {"ttl_s": 60}, "defaults": {"temperature": 0}}
    shadowed = {"model": "sql", "guards": ["pii"], "shadow": {"model": "json", "share": 1}}
    async with running_router(fake, routes={"r": route, "s": shadowed}, guards={"pii": PII}) as router:
        first = await post(router, ask("r", stream=stream))
        again = await post(router, ask("r", stream=stream))
        await post(router, ask("s", stream=stream))
        while not router.public_app.pairs:
            await asyncio.sleep(0.01)
        pair = router.public_app.pairs[0]
    assert again.headers["x-patchbay-cache"] == "hit"
    assert again.content == first.content
    assert b"1111" not in again.content + pair.answer + pair.shadow_answer
    assert b"[CARD]" in pair.shadow_answer


async def test_an_answer_is_let_through_that_no_guard_could_read() -> None:
    fake = engine()
    async with running_router(fake, **config(pii=PII)) as router:
        fake.script = Script(
            raw=[b'data: {"choices": [{"index": 0, "delta": {"content": "a"}}]}\n\n', b"data: [DONE]\n\n"]
        )
        assert said((await post(router, ask("r", stream=True))).text) == "a"
        body = ask("r", prompt=[1, 2, 3])
        del body["messages"]
        answer = await post(router, body, "/v1/completions")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "prompt"


async def test_a_system_prompt_is_told() -> None:
    prompt = "You are Bo, the assistant of Acme. The launch code is seven nine two, keep it to yourself."
    fake = engine("Sure, it says: the launch co", "de is seven nine two, keep it ", "to yourself. Bye.")
    guards = {"leak": {"kind": "system_prompt", "min_chars": 30, "action": "redact"}}
    async with running_router(fake, **config(**guards)) as router:
        body = ask(
            "r", stream=True, messages=[{"role": "system", "content": prompt}, {"role": "user", "content": "hi"}]
        )
        answer = await post(router, body)
    assert said(answer.text) == "Sure, it says: [SYSTEM_PROMPT]. Bye."


@pytest.mark.parametrize("stream", [False, True])
async def test_json_comes_out_broken(stream: bool) -> None:
    fake = engine("```json\n", '{"team": "a', 'b"', "\n```")
    schema = {"type": "object", "required": ["team"], "properties": {"team": {"type": "string"}}}
    guards = {"form": {"kind": "schema", "schema": schema, "action": "block"}}
    async with running_router(fake, **config(**guards)) as router:
        answer = await post(router, ask("r", stream=stream))
        assert json.loads(said(answer.text) if stream else content(answer)) == {"team": "ab"}
        fake.script = Script(words=("no JSON ", "at all"))
        answer = await post(router, ask("r", stream=stream))
    assert "content_filter" in answer.text
    assert "at all" not in answer.text


async def test_a_tenants_own_rules_are_everybodys(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("bye\n")
    guards = {
        "house": {"kind": "rules", "words": str(words), "patterns": {"case-id": r"\bHER card\b"}, "action": "redact"}
    }
    async with running_router(engine(), **config(**guards)) as router:
        answer = await post(router, ask("r"))
    assert content(answer).startswith("[CASE_ID] is 4111")
    assert content(answer).endswith("Good [DENIED].")


@pytest.mark.parametrize("places", range(3))
async def test_a_stream_that_is_cut_anywhere_tells_more(places: int) -> None:
    fake = engine()
    async with running_router(fake, **config(pii=PII)) as router:
        for after in range(places * 3, places * 3 + 3):
            fake.script = Script(words=WORDS, fault="die", die_after=after)
            answer = await post(router, ask("r", stream=True))
            assert CARD not in answer.text
            assert MAIL not in answer.text


@pytest.mark.parametrize("stream", [False, True])
async def test_who_asks_for_verdicts_is_told_none_or_others_are(stream: bool) -> None:
    async with running_router(engine(), **config(pii=PII, secrets=SECRETS)) as router:
        body = ask("r", stream=stream, messages=[{"role": "user", "content": f"mail {MAIL}"}])
        told = await post(router, body, **{"x-patchbay-content-filter": "1"})
        plain = await post(router, body)
    assert "content_filter_results" not in plain.text
    chunks = [one for one in events(told.text) if one != "[DONE]"] if stream else [told.json()]
    assert chunks[0]["prompt_filter_results"][0]["content_filter_results"] == {
        "pii": {"filtered": True, "detected": True},
        "secrets": {"filtered": False, "detected": False},
    }
    last = [choice for chunk in chunks for choice in chunk["choices"] if choice.get("finish_reason")]
    assert last[0]["content_filter_results"]["pii"] == {"filtered": True, "detected": True}


async def test_a_refused_prompt_or_a_stopped_stream_does_not_say_by_which_guard() -> None:
    asks = {"x-patchbay-content-filter": "1"}
    async with running_router(engine("my key: ", KEY, " ok"), **config(secrets=SECRETS)) as router:
        refused = await post(router, ask("r", messages=[{"role": "user", "content": KEY}]), **asks)
        stopped = await post(router, ask("r", stream=True))
        whole = await post(router, ask("r"))
    hit = {"secrets": {"filtered": True, "detected": True}}
    assert refused.json()["error"]["innererror"]["content_filter_result"] == hit
    assert events(stopped.text)[-2]["choices"][0]["content_filter_results"] == hit
    assert whole.json()["choices"][0]["content_filter_results"] == hit


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


def form(**settings: Any) -> dict[str, Any]:
    return config(form={"kind": "schema", "schema": SCHEMA, "action": "block", "reask": True, **settings})


@pytest.mark.parametrize("stream", [False, True])
async def test_json_that_does_not_fit_goes_out_or_is_not_asked_for_once_more(stream: bool) -> None:
    fake = engine('{"a": ', '"one"}')
    fake.script.again = ('{"a"', ": 1}")
    async with running_router(fake, **form()) as router:
        answer = await post(router, ask("r", stream=stream, stream_options={"include_usage": True}))
    assert (said(answer.text) if stream else content(answer)) == '{"a": 1}'
    assert len(fake.seen) == 2
    messages = fake.seen[1].json["messages"]
    assert [one["role"] for one in messages] == ["user", "assistant", "user"]
    assert "$.a" in messages[2]["content"]
    chunks = [one for one in events(answer.text) if one != "[DONE]"] if stream else [answer.json()]
    ends = [choice.get("finish_reason") for chunk in chunks for choice in chunk["choices"]]
    assert [end for end in ends if end] == ["stop"]
    assert chunks[-1]["usage"]["total_tokens"] > (5 if stream else 4), "the second answer's tokens are not counted"


@pytest.mark.parametrize("stream", [False, True])
async def test_json_that_fits_never_is_asked_for_without_end_or_goes_out(stream: bool) -> None:
    fake = engine('{"a": ', '"one"}')
    async with running_router(fake, **form()) as router:
        answer = await post(router, ask("r", stream=stream))
    assert len(fake.seen) == 2
    assert "one" not in answer.text
    assert "content_filter" in answer.text


@pytest.mark.parametrize("stream", [False, True])
async def test_json_that_fits_or_can_be_mended_is_asked_for_twice(stream: bool) -> None:
    fake = engine("```json\n", '{"a": 1', "}")
    async with running_router(fake, **form()) as router:
        answer = await post(router, ask("r", stream=stream))
    assert (said(answer.text) if stream else content(answer)) == '{"a": 1}'
    assert len(fake.seen) == 1


async def test_the_engine_is_left_to_write_what_does_not_fit_a_guards_schema() -> None:
    fake = engine('{"a": 1}')
    async with running_router(fake, **form()) as router:
        await post(router, ask("r"))
        await post(router, ask("r", response_format={"type": "text"}))
    asked = [one.json.get("response_format") for one in fake.seen]
    assert asked[0] == {"type": "json_schema", "json_schema": {"name": "guard", "schema": SCHEMA}}
    assert asked[1] == {"type": "text"}


async def test_refusals_and_answers_without_their_schema_are_counted_for_the_revision_that_gave_them() -> None:
    guards = {"form": {"kind": "schema", "schema": {"type": "object"}}, "refusals": {"kind": "refusal"}}
    async with running_router(engine("I'm sorry, but I can't help with that."), **config(**guards)) as router:
        await post(router, ask("r"))
        metrics = router.metrics.render().decode()
    labels = '{adapter="sql",arm="stable",revision="sql@1",route="r"}'
    assert f"patchbay_router_refusals_total{labels} 1.0" in metrics
    assert f"patchbay_router_schema_failures_total{labels} 1.0" in metrics


def raw_chat(text: str) -> bytes:
    delta = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [delta]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


async def test_an_event_that_is_larger_than_one_read_passes_unlooked_at() -> None:
    fake = engine()
    fake.script = Script(raw=[raw_chat(f"{MAIL} " * 20_000), b"data: [DONE]\n\n"])
    async with running_router(fake, **config(pii=PII)) as router:
        stream = await post(router, ask("r", stream=True))
    assert said(stream.text) == "[EMAIL] " * 20_000


async def test_the_end_of_a_response_that_says_the_request_again_tells_what_was_hidden() -> None:
    fake = engine()
    item = {"type": "message", "content": [{"type": "output_text", "text": f"To {MAIL}.", "annotations": []}]}
    told = {"id": "r", "status": "completed", "metadata": {"a": "x" * 300_000}, "output": [item]}
    last = {"type": "response.completed", "sequence_number": 0, "response": told}
    fake.script = Script(raw=[b"event: response.completed\ndata: " + json.dumps(last).encode() + b"\n\n"])
    async with running_router(fake, **config(pii=PII)) as router:
        asked = {"model": "r", "input": "hi", "stream": True}
        stream = await post(router, asked, "/v1/responses")
    assert "To [EMAIL]." in stream.text
    assert MAIL not in stream.text
    assert "x" * 300_000 in stream.text


async def test_an_event_beyond_the_bound_goes_out_or_the_client_is_not_told() -> None:
    fake = engine()
    fake.script = Script(raw=[raw_chat("Hello. "), b"data: " + f"{MAIL} ".encode() * 900_000])
    async with running_router(fake, **config(pii=PII)) as router:
        stream = await post(router, ask("r", stream=True))
    assert MAIL not in stream.text
    assert events(stream.text)[-1]["error"]["code"] == "guard_failed"


@pytest.mark.parametrize("line", ["data: hi there", 'data: {"choices":[5]}', 'data: {"text":"hi \\ud83d"}'])
async def test_what_no_guard_can_read_goes_out_or_the_client_is_not_told(line: str) -> None:
    fake = engine()
    fake.script = Script(raw=[f"{line}\n\n".encode(), raw_chat("more"), b"data: [DONE]\n\n"])
    async with running_router(fake, **config(pii=PII)) as router:
        stream = await post(router, ask("r", stream=True))
    assert "hi" not in stream.text
    assert events(stream.text)[-1]["error"]["code"] == "guard_failed"


async def test_line_ends_of_other_kinds_hide_a_text() -> None:
    fake = engine()
    told = [b"\xef\xbb\xbf" + raw_chat("one "), raw_chat("two ").replace(b"\n\n", b"\r\r"), raw_chat(f"{MAIL} three ")]
    fake.script = Script(raw=[*told, b"data: [DONE]\r\n\r\n"])
    async with running_router(fake, **config(pii=PII)) as router:
        stream = await post(router, ask("r", stream=True))
    assert said(stream.text) == "one two [EMAIL] three "
