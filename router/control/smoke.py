"""The smoke test: a revision must answer on a replica, as its golden prompts say, before a name may mean it."""

from collections.abc import Sequence
from typing import Any

from patchbay.adapters.golden import judge
from patchbay.registry.records import GoldenPrompt
from patchbay.router.control.replicas import ReplicaControl, ReplicaRefused

# Where an adapter brings no prompts of its own: that it answers at all, without an error.
_ANY: tuple[GoldenPrompt, ...] = (GoldenPrompt(messages=({"role": "user", "content": "Hello"},), max_tokens=8),)


async def smoke_test(
    control: ReplicaControl, *, model: str, engine_name: str, base: str, golden: Sequence[GoldenPrompt]
) -> str | None:
    """Why the revision `model` (`sql@3`, to the engine `engine_name`) must not serve, or None where it passed.

    Asked greedily, so that the same bytes give the same answer. Raises ReplicaFailure where the replica is gone.
    """
    for number, prompt in enumerate(golden or _ANY, start=1):
        try:
            answer = await control.answer(model, engine_name, _request(prompt))
            other = await control.answer(base, None, _request(prompt)) if prompt.differs_from_base else None
        except ReplicaRefused as error:
            return f"golden prompt {number}: {error}"
        if reason := judge(prompt, answer, other):
            return f"golden prompt {number}: {reason}"
    return None


def _request(prompt: GoldenPrompt) -> dict[str, Any]:
    messages = [dict(message) for message in prompt.messages]
    return {"messages": messages, "max_tokens": prompt.max_tokens, "temperature": 0, "seed": 0}
