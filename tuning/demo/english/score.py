"""The scoring of the demo on its real base: the base, the base with its best prompt, and the adapter, on each task."""

import asyncio
from dataclasses import dataclass

import httpx

from patchbay.tuning.demo.corpus import Example
from patchbay.tuning.demo.english.corpus import ENGLISH_TASKS, english_examples
from patchbay.tuning.demo.english.prompts import prompted
from patchbay.tuning.demo.recipe import SHIPPED_SEED
from patchbay.tuning.demo.score import (
    FLAWED,
    GOOD,
    TIMEOUT_S,
    UNTAUGHT,
    Score,
    ScoredEndpoint,
    ScoredTask,
    ScoreReport,
    ScoreTarget,
    first_of,
)
from patchbay.tuning.progress import ProgressSink

# An adapter that only this demo has.
OWN = "summary"
ANY = ScoreTarget(0.0, 1.0)
# Longer than any right answer.
MAX_TOKENS = 80


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One row of the table: who is asked (`model`), what it is `shown` as, and whether with the best prompt."""

    model: str
    shown: ScoredTask
    prompted: bool = False


def score_rows(base_model: str) -> tuple[ScoreRow, ...]:
    """Lists the rows: for each task the base, the base with its best prompt, the adapter; at last the flawed one."""
    found = []
    for task in ENGLISH_TASKS:
        found += [
            ScoreRow(base_model, ScoredTask(base_model, task, UNTAUGHT)),
            ScoreRow(base_model, ScoredTask(f"{base_model}, best prompt", task, ANY), prompted=True),
            ScoreRow(task, ScoredTask(task, task, GOOD)),
        ]
    return (*found, ScoreRow("label-bad", ScoredTask("label-bad", "label", FLAWED)))


async def serves_english(base_url: str, api_key: str | None) -> bool:
    """Whether the server at `base_url` serves the demo on its real base. One that does not say serves the tiny one."""
    headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
    address = base_url.rstrip("/").removesuffix("/v1")
    try:
        async with httpx.AsyncClient(base_url=address, headers=headers, timeout=TIMEOUT_S) as client:
            listed = (await client.get("/v1/models")).json()["data"]
            return any(model["id"] == OWN for model in listed)
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return False


async def score_english(
    base_url: str, api_key: str | None, *, examples: int, concurrency: int, progress: ProgressSink, base_model: str
) -> ScoreReport:
    """Scores all rows at `base_url` on `examples` held-out examples a task, `concurrency` requests at a time.

    Raises `EndpointError` for the first request that gets no usable answer.
    """
    headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
    address = base_url.rstrip("/").removesuffix("/v1")
    async with httpx.AsyncClient(base_url=address, headers=headers, timeout=TIMEOUT_S) as client:
        endpoint = ScoredEndpoint(client, concurrency, max_tokens=MAX_TOKENS)
        try:
            scores = [await _scored(endpoint, row, examples, progress) for row in score_rows(base_model)]
        except BaseExceptionGroup as errors:
            raise first_of(errors) from None
    return ScoreReport(tuple(scores))


async def _scored(endpoint: ScoredEndpoint, row: ScoreRow, examples: int, progress: ProgressSink) -> Score:
    asked = english_examples(row.shown.task, SHIPPED_SEED, examples, held_out=True)
    progress.start(f"{row.shown.model} on {row.shown.task}", len(asked))

    async def is_right(example: Example) -> bool:
        question = prompted(example, SHIPPED_SEED) if row.prompted else example
        right = await endpoint.answer(row.model, question) == example.answer
        progress.advance()
        return right

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(is_right(example)) for example in asked]
    return Score(row.shown, len(asked), sum(finished.result() for finished in tasks))
