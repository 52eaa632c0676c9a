"""The trial of two chat templates itself, for confined processes: only there the library that renders them is loaded.

Templates are rendered as transformers does. Source: `transformers.utils.chat_template_utils`.
"""

import dataclasses
import importlib.util
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn

from patchbay.adapters.checks.trials import Trial
from patchbay.core.errors import AdapterError

_ASK, _ANSWER = {"role": "user", "content": "What is 2 + 2?"}, {"role": "assistant", "content": "It is 4."}
_SYSTEM, _MORE = {"role": "system", "content": "Be brief."}, {"role": "user", "content": "And\n\n3 + 3?"}
# What a client may send, with the words by which a refusal names it. All end where the model is to answer.
_CHATS: Mapping[str, Sequence[Mapping[str, str]]] = {
    "a question": [_ASK],
    "a system's message and a question": [_SYSTEM, _ASK],
    "a question, an answer and a question": [_ASK, _ANSWER, _MORE],
    "a system's message, a question, an answer and a question": [_SYSTEM, _ASK, _ANSWER, _MORE],
}
_NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
# Marks what a trainer takes the loss of, and renders to what it holds.
_GENERATION = re.compile(r"\{%-?\s*(?:end)?generation\s*-?%\}")


def templates_tried(own: str, base: str, special: Mapping[str, str]) -> Trial:
    """Renders chats by an adapter's `own` chat template and by the `base`'s, and tells the first that differs.

    Chats have no tools: an adapter that was trained without is served with the base's way to write them. A template
    that fails at a chat, such as one without a system's role, does the same as another that fails. `special`: texts of
    special tokens, by the names that templates have for them.

    Raises AdapterError where the adapter's own is no template.
    """
    if importlib.util.find_spec("jinja2") is None:
        return Trial(possible=False)
    mine, theirs = _read(own), _compiled(base)
    differing = (name for name, chat in _CHATS.items() if _said(mine, chat, special) != _said(theirs, chat, special))
    return Trial(next(differing, None))


def check_template(template: str, special: Mapping[str, str]) -> None:
    """Raises AdapterError where a chat template is none, or fails at every chat. `special`: as in `templates_tried`."""
    if importlib.util.find_spec("jinja2") is None:
        return
    compiled = _read(template)
    if all(_said(compiled, chat, special) is None for chat in _CHATS.values()):
        raise AdapterError("the chat template fails at every chat.")


def templates_task(work: Mapping[str, Any]) -> dict[str, Any]:
    """Does the work of `Trials.templates` within the confined process."""
    return dataclasses.asdict(templates_tried(work["own"], work["base"], work["special"]))


def _read(own: str) -> Any:
    try:
        return _compiled(own)
    except Exception as error:
        raise AdapterError(f"the chat template cannot be read: {type(error).__name__}.") from error


def _compiled(template: str) -> Any:
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.globals |= {"raise_exception": _refuse, "strftime_now": _NOW.strftime}
    return environment.from_string(_GENERATION.sub("", template))


def _said(template: Any, chat: Sequence[Mapping[str, str]], special: Mapping[str, str]) -> str | None:
    """Renders a chat, None where the template fails at it."""
    try:
        text: str = template.render(messages=chat, add_generation_prompt=True, tools=None, documents=None, **special)
    except Exception:  # noqa: BLE001 - the code is an adapter's: it may raise anything
        return None
    return text


def _refuse(message: str) -> NoReturn:
    raise AdapterError(message)
