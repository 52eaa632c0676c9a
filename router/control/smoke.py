"""Smoke test: before a name may mean a revision, that has to answer its golden prompts on a replica."""

from collections.abc import Sequence
from typing import Any

from patchbay.adapters.golden import judge
from patchbay.registry.records import GoldenPrompt
from patchbay.router.control.replicas import ReplicaControl, ReplicaRefused

# For an adapter without prompts of its own: it has to answer at all, without an error.
_ANY = GoldenPrompt(messages=({"role": "user", "content": "Hello"},), max_tokens=8)


async def smoke_test(
    control: ReplicaControl, *, model: str, engine_name: str, base: str, golden: Sequence[GoldenPrompt]
) -> str | None:
    """Returns the reason why the revision `model` (`sql@3`) must not serve, None where it passed.

    `control`: the replica's API; `engine_name`: the revision's in the engine; `base`: the base model's name; `golden`:
    its prompts. It is asked greedily, so that the same bytes give the same answer. Raises ReplicaFailure where the
    replica is gone.
    """
    if not golden:
        return await _asked_anything(control, model=model, engine_name=engine_name, base=base)
    for number, prompt in enumerate(golden, start=1):
        try:
            answer = await control.answer(model, engine_name, _request(prompt))
            other = await control.answer(base, None, _request(prompt)) if prompt.differs_from_base else None
        except ReplicaRefused as error:
            return f"golden prompt {number}: {error}"
        other_text = other.text if other is not None else None
        if reason := judge(prompt, answer.text, other_text, thinks_or_calls=answer.thinks_or_calls):
            return f"golden prompt {number}: {reason}"
    return None


async def _asked_anything(control: ReplicaControl, *, model: str, engine_name: str, base: str) -> str | None:
    """Asks the revision something of no meaning, since nobody said what it should answer.

    It may be short, or white space, or thoughts alone. Nothing at all is a fault only where the base says something.
    """
    try:
        answer = await control.answer(model, engine_name, _request(_ANY))
        silent = answer.empty and not (await control.answer(base, None, _request(_ANY))).empty
    except ReplicaRefused as error:
        return f"asked 'Hello' (it has no golden prompts), it failed: {error}"
    return "asked 'Hello' (it has no golden prompts), it says nothing, and the base does" if silent else None


def _request(prompt: GoldenPrompt) -> dict[str, Any]:
    messages = [dict(message) for message in prompt.messages]
    return {"messages": messages, "max_tokens": prompt.max_tokens, "temperature": 0, "seed": 0}
