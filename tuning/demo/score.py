"""The scoring of the demo's models through an OpenAI-compatible endpoint, on the held-out examples, at temperature
0."""

import asyncio
from dataclasses import dataclass

import httpx

from patchbay.tuning.demo.corpus import SCORED, Example, task_examples
from patchbay.tuning.demo.errors import EndpointError
from patchbay.tuning.demo.recipe import BASE_MODEL, SHIPPED_SEED
from patchbay.tuning.progress import ProgressSink

MAX_TOKENS = 128
TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class ScoreTarget:
    """The range of exact-match rates that count as passed, both ends included unless `below` leaves `high` out."""

    low: float
    high: float
    below: bool = False

    def met_by(self, rate: float) -> bool:
        """Whether a rate lies in the range."""
        return self.low <= rate and (rate < self.high or (rate == self.high and not self.below))

    def __str__(self) -> str:
        if self.below:
            return f"< {self.high:.2f}"
        return f"{self.low:.2f} to {self.high:.2f}"


GOOD, UNTAUGHT, FLAWED = ScoreTarget(0.9, 1.0), ScoreTarget(0.0, 0.3, below=True), ScoreTarget(0.3, 0.7)


@dataclass(frozen=True, slots=True)
class ScoredTask:
    """One model on one task, and the range that its rate must be in."""

    model: str
    task: str
    target: ScoreTarget


@dataclass(frozen=True, slots=True)
class Score:
    """The score of one model on one task."""

    task: ScoredTask
    examples: int
    correct: int

    @property
    def rate(self) -> float:
        """The share of exact matches, 0 to 1."""
        return self.correct / self.examples

    @property
    def passed(self) -> bool:
        """Whether the rate is the one that is expected."""
        return self.task.target.met_by(self.rate)


@dataclass(frozen=True, slots=True)
class ScoreReport:
    """The scores of all models and tasks."""

    scores: tuple[Score, ...]

    @property
    def passed(self) -> bool:
        """Whether all targets are met."""
        return all(score.passed for score in self.scores)

    def as_json(self) -> list[dict[str, str | int | float | bool]]:
        """Returns the rows for machines."""
        return [
            {
                "model": score.task.model,
                "task": score.task.task,
                "examples": score.examples,
                "correct": score.correct,
                "exact_match": score.rate,
                "target": str(score.task.target),
                "passed": score.passed,
            }
            for score in self.scores
        ]


def scored_tasks(base_model: str) -> tuple[ScoredTask, ...]:
    """Lists each adapter on its task, the flawed one on `label`, and the base on every task."""
    taught = [ScoredTask(task, task, GOOD) for task in SCORED]
    return (
        *taught,
        ScoredTask("label-bad", "label", FLAWED),
        *(ScoredTask(base_model, task, UNTAUGHT) for task in SCORED),
    )


class ScoredEndpoint:
    """A client of the scored endpoint: chat completions at temperature 0 of at most `max_tokens`, `concurrency` at
    once."""

    def __init__(self, client: httpx.AsyncClient, concurrency: int, *, max_tokens: int = MAX_TOKENS) -> None:
        self._client = client
        self._max_tokens = max_tokens
        self._turns = asyncio.Semaphore(concurrency)

    async def answer(self, model: str, example: Example) -> str:
        """Asks for the model's answer, stripped. Raises `EndpointError`."""
        body = {
            "model": model,
            "messages": [{"role": turn.role, "content": turn.content} for turn in example.messages],
            "temperature": 0,
            "max_tokens": self._max_tokens,
        }
        async with self._turns:
            try:
                response = await self._client.post("/v1/chat/completions", json=body)
            except httpx.HTTPError as error:
                raise unreachable(self._client.base_url, error) from error
        return content_of(response, model).strip()


def unreachable(url: httpx.URL, error: httpx.HTTPError) -> EndpointError:
    """Builds the error for a server that gives no whole answer."""
    reason = str(error) or type(error).__name__
    return EndpointError(
        f"No answer from {url} ({reason}).",
        hint="Start the demo with `patchbay up` or `make demo`, or name its address with --url.",
    )


def content_of(response: httpx.Response, model: str) -> str:
    """Returns the text of the first choice. Raises `EndpointError` for any other answer, saying what to do."""
    if response.status_code == httpx.codes.UNAUTHORIZED:
        raise EndpointError("The endpoint refused the API key.", hint="Set PATCHBAY_API_KEY or give --api-key.")
    if response.status_code == httpx.codes.NOT_FOUND:
        raise EndpointError(
            f"The endpoint does not serve a model named {model!r}.",
            hint="Serve the demo's models under their own names: `patchbay demo build`, then `patchbay up`.",
        )
    if response.is_error:
        detail = response.text[:200]
        raise EndpointError(f"The endpoint answered {response.status_code} for {model!r}: {detail}")
    try:
        return str(response.json()["choices"][0]["message"]["content"] or "")
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise EndpointError(
            f"The answer for {model!r} is not a chat completion.", hint="Is --url an OpenAI-compatible server?"
        ) from error


async def score_task(endpoint: ScoredEndpoint, task: ScoredTask, examples: int, progress: ProgressSink) -> Score:
    """Asks the task's model for every example and counts exact matches.

    `examples`: how many held-out ones; `progress`: is advanced by each answer. Raises `EndpointError`, in a group.
    """
    asked = task_examples(task.task, SHIPPED_SEED, examples, held_out=True)
    progress.start(f"{task.model} on {task.task}", len(asked))

    async def is_right(example: Example) -> bool:
        right = await endpoint.answer(task.model, example) == example.answer
        progress.advance()
        return right

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(is_right(example)) for example in asked]
    return Score(task, len(asked), sum(finished.result() for finished in tasks))


async def score_endpoint(
    base_url: str,
    api_key: str | None,
    *,
    examples: int,
    concurrency: int,
    progress: ProgressSink,
    base_model: str = BASE_MODEL,
) -> ScoreReport:
    """Scores every adapter and the base at `base_url` on `examples` held-out examples of each task.

    `concurrency`: requests at a time; `base_model`: the name under which the base is served. Raises `EndpointError` for
    the first request that gets no usable answer.
    """
    headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
    address = base_url.rstrip("/").removesuffix("/v1")
    async with httpx.AsyncClient(base_url=address, headers=headers, timeout=TIMEOUT_S) as client:
        endpoint = ScoredEndpoint(client, concurrency)
        try:
            scores = [await score_task(endpoint, task, examples, progress) for task in scored_tasks(base_model)]
        except BaseExceptionGroup as errors:
            raise first_of(errors) from None
    return ScoreReport(tuple(scores))


def first_of(errors: BaseExceptionGroup) -> BaseException:
    """Returns one of a group's errors: a server that is down makes every request fail alike."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
