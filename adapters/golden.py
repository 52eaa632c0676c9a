"""The judgement of an answer to a golden prompt. Pure."""

from patchbay.registry.records import GoldenPrompt

_SHOWN = 120


def judge(prompt: GoldenPrompt, answer: str, base_answer: str | None, *, thinks_or_calls: bool = False) -> str | None:
    """Returns what is wrong with `answer`, or None.

    `base_answer`: the base model's answer, where it must differ; `thinks_or_calls`: whether the answer has thoughts or
    a tool's call beside its text, which may be empty then.
    """
    if prompt.expect is not None and answer.strip() != prompt.expect.strip():
        return f"the answer is {_shown(answer)}, expected {_shown(prompt.expect)}"
    if prompt.contains is not None and prompt.contains not in answer:
        return f"the answer is {_shown(answer)}, expected one with {_shown(prompt.contains)} in it"
    if prompt.differs_from_base and answer.strip() == (base_answer or "").strip():
        return f"the answer is {_shown(answer)}, just what the base model says"
    return "the answer is empty" if prompt.expect is None and not answer.strip() and not thinks_or_calls else None


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
