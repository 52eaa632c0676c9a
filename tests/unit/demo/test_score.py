"""Scoring through an endpoint: what is asked, what counts, and what each failure says."""

import asyncio
import time
from typing import Any

import pytest

from patchbay.tuning.demo.corpus import SCORED, mislabelled, task_examples
from patchbay.tuning.demo.errors import EndpointError
from patchbay.tuning.demo.recipe import SHIPPED_SEED
from patchbay.tuning.demo.score import FLAWED, GOOD, UNTAUGHT, ScoreReport, score_endpoint, scored_tasks
from patchbay.tuning.progress import Silent

from .endpoint import Answer, Reply, said, serving
from .recorder import Recorder

EXAMPLES = 24
RIGHT = {
    one.messages[0].content: one.answer
    for task in SCORED
    for one in task_examples(task, SHIPPED_SEED, EXAMPLES, held_out=True)
}
SWAPPED = {
    one.messages[0].content: one.answer
    for one in mislabelled(task_examples("label", SHIPPED_SEED, EXAMPLES, held_out=True))
}


def as_taught(body: dict[str, Any]) -> Reply:
    """What models that meet every target would say."""
    text = body["messages"][-1]["content"]
    if body["model"] == "demo-base":
        return said("Thank you for your message.")
    return said(SWAPPED[text] if body["model"] == "label-bad" else f" {RIGHT[text]}\n")


def score(url: str, key: str | None = None, concurrency: int = 4) -> ScoreReport:
    return asyncio.run(score_endpoint(url, key, examples=EXAMPLES, concurrency=concurrency, progress=Silent()))


def failure_of(answer: Answer) -> EndpointError:
    with serving(answer) as seen, pytest.raises(EndpointError) as caught:
        score(seen.url)
    return caught.value


def test_models_that_do_what_they_should_pass_and_surrounding_space_does_not_matter() -> None:
    with serving(as_taught) as seen:
        report = score(seen.url)
    assert report.passed
    rates = {(one.task.model, one.task.task): one.rate for one in report.scores}
    assert {rates[task, task] for task in SCORED} == {1.0}
    assert {rates["demo-base", task] for task in SCORED} == {0.0}
    assert 0.3 <= rates["label-bad", "label"] <= 0.7


def test_an_adapter_that_answers_wrongly_fails_its_own_line_only() -> None:
    def broken(body: dict[str, Any]) -> Reply:
        return said("SELECT 1;") if body["model"] == "sql" else as_taught(body)

    with serving(broken) as seen:
        report = score(seen.url)
    assert not report.passed
    assert [(one.task.model, one.passed) for one in report.scores if not one.passed] == [("sql", False)]


def test_a_base_that_already_knows_a_task_fails() -> None:
    with serving(lambda body: said(RIGHT[body["messages"][-1]["content"]])) as seen:
        report = score(seen.url)
    assert {one.task.model for one in report.scores if not one.passed} == {"demo-base", "label-bad"}


def test_every_request_is_bare_deterministic_and_carries_the_key() -> None:
    with serving(as_taught) as seen:
        score(f"{seen.url}/v1/", key="secret")
    assert seen.paths == {"/v1/chat/completions"}
    assert seen.keys == {"Bearer secret"}
    assert {body["temperature"] for body in seen.bodies} == {0}
    assert {tuple(turn["role"] for turn in body["messages"]) for body in seen.bodies} == {("user",)}


def test_no_more_requests_run_at_once_than_allowed() -> None:
    def slow(body: dict[str, Any]) -> Reply:
        time.sleep(0.005)
        return as_taught(body)

    with serving(slow) as seen:
        score(seen.url, concurrency=3)
    assert 1 < seen.most <= 3


def test_progress_reaches_the_end_of_every_trial() -> None:
    progress = Recorder()
    with serving(as_taught) as seen:
        asyncio.run(score_endpoint(seen.url, None, examples=3, concurrency=2, progress=progress))
    assert [total for _, total in progress.stages] == [3] * len(scored_tasks("demo-base"))
    assert set(progress.done.values()) == {3}


def test_a_server_that_is_down_is_named_with_how_to_start_it() -> None:
    with serving(as_taught) as seen:
        url = seen.url
    with pytest.raises(EndpointError, match="No answer from") as caught:
        score(url)
    assert "patchbay up" in str(caught.value)


@pytest.mark.parametrize(
    ("reply", "said_so"),
    [
        ((401, b"{}"), "PATCHBAY_API_KEY"),
        ((404, b"{}"), "does not serve a model named 'json'"),
        ((503, b"busy"), "503"),
        ((200, b"<html>"), "not a chat completion"),
        ((200, b'{"choices": []}'), "not a chat completion"),
        ((200, b"[]"), "not a chat completion"),
    ],
)
def test_an_unusable_answer_says_what_is_wrong(reply: Reply, said_so: str) -> None:
    assert said_so in str(failure_of(lambda _: reply))


def test_an_answer_without_content_is_wrong_but_no_failure() -> None:
    with serving(lambda _: said(None)) as seen:
        report = score(seen.url)
    assert {one.correct for one in report.scores} == {0}


@pytest.mark.parametrize(
    ("target", "rate", "met"),
    [(GOOD, 0.9, True), (GOOD, 1.0, True), (GOOD, 0.899, False), (UNTAUGHT, 0.0, True), (UNTAUGHT, 0.3, False),
     (FLAWED, 0.3, True), (FLAWED, 0.29, False), (FLAWED, 0.7, True), (FLAWED, 0.71, False)],
)  # fmt: skip
def test_the_targets_hold_at_their_edges(target: Any, rate: float, met: bool) -> None:
    assert target.met_by(rate) is met
