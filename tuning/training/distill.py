"""Distillation: a stronger model answers the prompts of a data set, and its answers become rows to train on.

Source: Hinton et al., arXiv 1503.02531; for texts, Kim and Rush, arXiv 1606.07947 (sequence-level distillation).
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from patchbay.core.errors import ConfigError, UpstreamFailed
from patchbay.tuning.training.rows import Row
from patchbay.tuning.training.runs import now

_TRIES: Final = 4
_TIMEOUT_S: Final = 300
# What may be better later: limits and the server's own faults.
_AGAIN: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherModel:
    """The model that answers. `url`: an OpenAI-compatible endpoint; `concurrency`: requests at a time; `system`: a
    system prompt for the teacher alone, which the rows do not have."""

    url: str
    model: str
    api_key: str | None = None
    system: str | None = None
    max_tokens: int = 1024
    temperature: float = 0.0
    concurrency: int = 8


@dataclass(slots=True)
class Distilled:
    """The count of what came of the prompts: rows that were written, those that were there, and answers that were left
    out, by reason."""

    written: int = 0
    there: int = 0
    empty: int = 0
    cut: int = 0
    refused: int = 0


def prompts_in(path: Path) -> list[Row]:
    """Reads the prompts of chats, preferences or votes in the file at `path`: each a row with `messages`, and `tools`
    where it has some. Raises ConfigError."""
    found: list[Row] = []
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    found.append(_prompt(json.loads(line), f"{path.name}:{number}"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"The prompts in {path} cannot be read: {error}.") from error
    return found


def _prompt(row: Any, place: str) -> Row:
    found = row.get("messages", row.get("prompt")) if isinstance(row, dict) else None
    messages = [{"role": "user", "content": found}] if isinstance(found, str) else found
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise ConfigError(f"{place} has neither messages nor a prompt.")
    while messages and messages[-1].get("role") == "assistant":
        messages = messages[:-1]
    if not messages:
        raise ConfigError(f"{place} asks nothing.")
    return {"messages": messages} | ({"tools": row["tools"]} if row.get("tools") else {})


def key_of(prompt: Row) -> str:
    """Returns what tells one prompt from another."""
    return hashlib.sha256(json.dumps(prompt, sort_keys=True).encode()).hexdigest()[:16]


def done_in(path: Path) -> set[str]:
    """Returns the keys of the prompts that are answered in the file at `path`. A last line that was cut is dropped."""
    if not path.exists():
        return set()
    kept, keys = [], set()
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            keys.add(json.loads(line)["source"]["prompt"])
            kept.append(line)
        except (ValueError, KeyError, TypeError):
            continue
    path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
    return keys


async def distill(prompts: Sequence[Row], teacher: TeacherModel, out: Path, advance: Callable[[], None]) -> Distilled:
    """Asks `teacher` each prompt that has no row in `out` yet, and adds a row for each whole answer.

    `advance`: is called for each prompt. Raises UpstreamFailed where the teacher does not answer.
    """
    found, done = Distilled(), done_in(out)
    headers = {"authorization": f"Bearer {teacher.api_key}"} if teacher.api_key else {}
    places = asyncio.Semaphore(teacher.concurrency)
    async with httpx.AsyncClient(headers=headers, timeout=_TIMEOUT_S) as client:
        with out.open("a", encoding="utf-8") as file:

            async def one(prompt: Row) -> None:
                async with places:
                    row = await answered(client, teacher, prompt, found)
                if row is not None:
                    file.write(f"{json.dumps(row, ensure_ascii=False)}\n")
                    file.flush()
                    found.written += 1
                advance()

            await _all(one(prompt) for prompt in _missing(prompts, done, found, advance))
    return found


async def _all(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Does all of `work` at once. Where some fails, the rest is ended, and the first failure is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for one in work:
                group.create_task(one)
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures


def _missing(prompts: Iterable[Row], done: set[str], found: Distilled, advance: Callable[[], None]) -> Iterable[Row]:
    seen = set(done)
    for prompt in prompts:
        if (key := key_of(prompt)) in seen:
            found.there += 1
            advance()
        else:
            seen.add(key)
            yield prompt


async def answered(client: httpx.AsyncClient, teacher: TeacherModel, prompt: Row, found: Distilled) -> Row | None:
    """Returns the row of the teacher's answer to `prompt`, or None, counted in `found`, where it is empty, cut short or
    filtered."""
    choice = await _ask(client, teacher, prompt)
    message = choice.get("message") or {}
    text, calls = (message.get("content") or "").strip(), message.get("tool_calls")
    reason = choice.get("finish_reason")
    if reason == "length":
        found.cut += 1
    elif reason == "content_filter":
        found.refused += 1
    elif not text and not calls:
        found.empty += 1
    else:
        answer = {"role": "assistant", "content": text or None} | ({"tool_calls": calls} if calls else {})
        return {**prompt, "messages": [*prompt["messages"], answer], "source": _provenance(teacher, prompt)}
    return None


def _provenance(teacher: TeacherModel, prompt: Row) -> Row:
    return {
        "kind": "distilled",
        "teacher": teacher.model,
        "endpoint": urlsplit(teacher.url).hostname,
        "temperature": teacher.temperature,
        "asked": now(),
        "prompt": key_of(prompt),
    }


async def _ask(client: httpx.AsyncClient, teacher: TeacherModel, prompt: Row) -> Row:
    told = [{"role": "system", "content": teacher.system}] if teacher.system else []
    body = {
        **prompt,
        "model": teacher.model,
        "messages": [*told, *prompt["messages"]],
        "max_tokens": teacher.max_tokens,
        "temperature": teacher.temperature,
    }
    address = f"{teacher.url.rstrip('/').removesuffix('/v1')}/v1/chat/completions"
    why = ""
    for attempt in range(_TRIES):
        try:
            response = await client.post(address, json=body)
            if response.status_code == 200:
                choice: Row = response.json()["choices"][0]
                return choice
            why = f"{response.status_code}: {response.text[:200]}"
            if response.status_code not in _AGAIN:
                break
        except (httpx.TransportError, ValueError, LookupError, TypeError) as error:
            why = f"{type(error).__name__}: {error}"
        await asyncio.sleep(0.25 * 2**attempt)
    raise UpstreamFailed(
        f"The teacher {teacher.model} does not answer: {why}.", hint="The same command goes on with what is missing."
    )
