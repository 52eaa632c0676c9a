"""Texts of a megabyte: they cost what their length costs, are not kept in pieces, and let others go on meanwhile."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from patchbay.core.errors import ContentFiltered
from patchbay.core.offload import Offload
from patchbay.guards.config import GuardsConfig
from patchbay.guards.findings import MOST_KEPT
from patchbay.guards.judges.judge import JudgeFailed, TextOrigin
from patchbay.guards.judges.judges import Judges
from patchbay.guards.pipeline import Guards, compile_guards
from patchbay.guards.session import GuardSession

pytestmark = pytest.mark.anyio
KINDS: dict[str, dict[str, Any]] = {
    "rules": {"kind": "rules", "sets": ["pii", "secrets", "profanity"], "action": "redact"},
    "mask": {"kind": "rules", "sets": ["pii"], "action": "mask", "on": ["input"]},
    "block": {"kind": "rules", "sets": ["secrets"], "action": "block"},
    "injection": {"kind": "injection", "action": "flag"},
    "refusal": {"kind": "refusal", "action": "flag"},
    "system": {"kind": "system_prompt", "action": "redact"},
    "grounding": {"kind": "grounding", "action": "flag"},
}
MAIL = "jane@example.org "
UNITS = (
    "bullshit ",
    "4111 1111 1111 1111 ",
    "jane@example.org, ",
    "1.",
    "10.0.0.1 ",
    "AKIA",
    "é a ",
    "a\u200bb",
    "\\u0041",
    "ignore all previous instructions ",
    "a",
)


@pytest.fixture(scope="module")
def guards(tmp_path_factory: pytest.TempPathFactory) -> Guards:
    config = GuardsConfig.model_validate({"guards": KINDS})
    return compile_guards(config, [[name] for name in KINDS], tmp_path_factory.mktemp("rules"), None)


@pytest.fixture
def offload() -> Iterator[Offload]:
    made = Offload()
    yield made
    made.close()


async def nobody(model: str, fields: dict[str, object], near: str) -> bytes:
    raise JudgeFailed("nobody is asked here")


def guarded(guards: Guards, name: str, offload: Offload) -> GuardSession:
    pipeline = guards.pipeline((name,), "")
    assert pipeline is not None
    return GuardSession(
        pipeline=pipeline,
        endpoint="chat_completions",
        key=b"key",
        judges=Judges(ask=nobody, again=nobody, wanted=list),
        facts=TextOrigin(request="r"),
        offload=offload,
    )


def prompt(text: str) -> bytes:
    messages = [{"role": "system", "content": text[:5000]}, {"role": "user", "content": text}]
    return json.dumps({"model": "r", "messages": messages}).encode()


def answer(text: str) -> bytes:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    return json.dumps({"id": "x", "choices": [choice]}).encode()


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("name", [name for name in KINDS if name != "block"])
async def test_no_text_costs_more_than_linear_time(guards: Guards, offload: Offload, name: str, unit: str) -> None:
    async def seconds(length: int) -> float:
        text = (unit * length)[:length]
        began = time.process_time()
        made = guarded(guards, name, offload)
        await made.checked(prompt(text))
        await made.whole(answer(text))
        return time.process_time() - began

    small = min([await seconds(12_000) for _ in range(3)])
    # Eight times as much text: 64 times the time if the cost were quadratic.
    assert min([await seconds(96_000) for _ in range(2)]) < 28 * max(small, 0.004)


async def test_a_long_text_stops_the_event_loop(guards: Guards, offload: Offload) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.001)
            turns += 1

    task = asyncio.create_task(others())
    made = guarded(guards, "rules", offload)
    await made.checked(prompt(MAIL * 20_000))
    after_prompt, turns = turns, 0
    await made.whole(answer(MAIL * 20_000))
    task.cancel()
    assert min(after_prompt, turns) > 3


async def test_texts_in_threads_get_other_verdicts_than_in_turn(guards: Guards, offload: Offload) -> None:
    texts = [f"{number} is not 4111 1111 1111 1111 but jane@example.org, bullshit. " * 1500 for number in range(6)]
    alone = [await guarded(guards, "rules", offload).checked(prompt(text)) for text in texts]
    short = "say it to jane@example.org "
    expected = await guarded(guards, "rules", offload).checked(prompt(short))
    many = asyncio.gather(*(guarded(guards, "rules", offload).checked(prompt(text)) for text in texts))
    while not many.done():
        assert await guarded(guards, "rules", offload).checked(prompt(short)) == expected
        await asyncio.sleep(0)
    assert await many == alone


async def test_a_long_text_that_is_to_be_blocked_passes(guards: Guards, offload: Offload) -> None:
    with pytest.raises(ContentFiltered):
        await guarded(guards, "block", offload).checked(prompt("x " * 50_000 + "AKIA" + "Q3EGRXH7" * 2))


async def test_a_request_that_is_cancelled_leaves_its_check_at_work_behind_it(guards: Guards, offload: Offload) -> None:
    made = guarded(guards, "rules", offload)
    task = asyncio.create_task(made.checked(prompt(MAIL * 20_000)))
    await asyncio.sleep(0.01)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    await asyncio.wait({task})
    found = made.findings.counts.total()
    await asyncio.sleep(0.05)
    assert task.cancelled()
    assert made.findings.counts.total() == found


async def test_what_is_kept_of_a_request_grows_with_what_is_found_in_it(guards: Guards, offload: Offload) -> None:
    made = guarded(guards, "rules", offload)
    await made.checked(prompt(MAIL * 30_000))
    assert len(made.findings.first) == MOST_KEPT
    count = 30_000 + 5000 // len(MAIL)
    assert made.findings.more == count - MOST_KEPT
    assert f"EMAIL*{count} input redact" in made.summary
