"""The smoke test: before a name may mean a revision, that has to answer its golden prompts on a replica."""

from collections.abc import Sequence
from typing import Any

from patchbay.adapters.golden import judge
from patchbay.registry.records import GoldenPrompt
from patchbay.router.control.replicas import ReplicaControl, ReplicaRefused

# For an adapter without prompts of its own: it has to answer at all, without an error.
_ANY: tuple[GoldenPrompt, ...] = (GoldenPrompt(messages=({"role": "user", "content": "Hello"},), max_tokens=8),)


async def smoke_test(
    control: ReplicaControl, *, model: str, engine_name: str, base: str, golden: Sequence[GoldenPrompt]
) -> str | None:
    """Returns the reason why the revision `model` (`sql@3`) must not serve, None where it passed.

    `control`: the replica's API; `engine_name`: the revision's in the engine; `base`: the base model's name; `golden`:
    its prompts. It is asked greedily, so that the same bytes give the same answer. Raises ReplicaFailure where the
    replica is gone.
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
