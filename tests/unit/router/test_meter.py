import json

import pytest

from patchbay.core.errors import InvalidRequest
from patchbay.router.carry.transcript import Transcript
from patchbay.router.forward.relay import Relay
from patchbay.router.http.body_budget import BodyBudget
from patchbay.router.http.request import Reply
from patchbay.router.request.token_meter import bounded, used_by
from patchbay.router.tenants.config import CountersConfig
from patchbay.router.tenants.limiter import Need


class Silent:
    """A client that reads nothing."""

    date = b""
    blocked = ending = False

    def write(self, data: bytes) -> None:
        """Nobody reads."""

    def write_soon(self, data: bytes) -> None:
        """Nobody reads."""

    def hold(self, data: bytes) -> None:
        """Nobody reads."""

    def reply_ended(self, *, keep: bool) -> None:
        """Nobody waits."""


def relay(tail: bytes, events: int = 0) -> Relay:
    from patchbay.router.http.request import Request

    made = Relay(Reply(Request(10, Silent().write, BodyBudget(1000)), Silent()))
    made._last, made.events = tail, events  # noqa: SLF001 - an answer that has gone through
    return made


@pytest.mark.parametrize(
    ("tail", "used"),
    [
        (b'{"id":"x","usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}', Need(prompt=5, answer=7)),
        (
            b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7}}\n\ndata: [DONE]\n\n',
            Need(prompt=5, answer=7),
        ),
        (
            b'data: {"type":"response.completed","response":{"usage":{"input_tokens":3,"output_tokens":4}}}\n\n',
            Need(prompt=3, answer=4),
        ),
        (
            b'event: message_delta\ndata: {"usage":{"input_tokens":3,"output_tokens":9}}\n\ndata: {"type":"end"}',
            Need(prompt=3, answer=9),
        ),
        (b'{"choices":[{"text":"\\"usage\\": lies"}]}', Need(prompt=0, answer=0)),
        (b"not JSON at all", Need(prompt=0, answer=0)),
    ],
)
def test_what_an_answer_says_that_it_used_is_believed(tail: bytes, used: Need) -> None:
    assert used_by(relay(tail), b"x" * 40) == used


def test_a_plain_servers_stream_that_tells_nothing_is_estimated_by_its_events() -> None:
    assert used_by(relay(b"data: {}\n\n", events=6), b"x" * 40) == Need(prompt=10, answer=6)


def test_a_stream_with_token_ids_is_counted_by_them() -> None:
    made = relay(b"")
    made.transcript = Transcript()
    made.transcript.strip(b": prompt 1,2,3\n: ids 4,5\ndata: {}\n\n: ids 6\ndata: {}\n\n")
    assert used_by(made, b"") == Need(prompt=3, answer=3)


@pytest.mark.parametrize(
    ("endpoint", "body", "answer"),
    [
        ("chat_completions", b'{"max_tokens":10}', 10),
        ("chat_completions", b'{"max_completion_tokens":12,"max_tokens":10}', 12),
        ("chat_completions", b'{"max_completion_tokens":1,"max_tokens":100000}', 1),
        ("chat_completions", b'{"max_tokens":10,"n":3}', 30),
        ("responses", b'{"max_output_tokens":8}', 8),
        ("chat_completions", b"{}", 100),
        ("chat_completions", b'{"max_tokens":null,"n":null}', 100),
        ("completions", b'{"prompt":"a"}', 16),
        ("completions", b'{"prompt":["a","b"],"max_tokens":5,"n":2}', 20),
        ("completions", b'{"prompt":[1,2,3],"max_tokens":5}', 5),
        ("embeddings", b'{"input":["a","b"]}', 0),
        ("score", b'{"queries":"a","documents":["b","c"]}', 0),
        ("rerank", b'{"query":"a","documents":["b","c"]}', 0),
        ("tokenize", b'{"prompt":"a"}', 0),
    ],
)
def test_what_is_set_aside_is_the_most_that_can_come(endpoint: str, body: bytes, answer: int) -> None:
    _, need = bounded(body, endpoint, CountersConfig(answer_tokens=100), None)
    assert need.answer == answer
    assert need.prompt >= len(body)


@pytest.mark.parametrize("endpoint", ["score", "rerank"])
def test_a_query_is_set_aside_for_once_with_each_document(endpoint: str) -> None:
    query, documents = "q" * 500, ["d"] * 30
    fields = {"score": {"queries": query, "documents": documents}, "rerank": {"query": query, "documents": documents}}
    body = json.dumps(fields[endpoint]).encode()
    assert bounded(body, endpoint, CountersConfig(bytes_per_token=1), None)[1].prompt >= 30 * 500
    assert bounded(body, endpoint, CountersConfig(bytes_per_token=1), 64)[1].prompt == 64 * 31


@pytest.mark.parametrize(
    ("endpoint", "fields", "most"),
    [
        ("rerank", {"query": "q" * 20, "documents": ["d" * 500] * 50}, 30_000),
        ("rerank", {"query": "q" * 20, "documents": ["d" * 1000] * 100}, 110_000),
        ("score", {"data_1": ["a" * 500] * 100, "data_2": ["b" * 500] * 100}, 110_000),
        ("score", {"queries": "q" * 20, "items": ["d" * 500] * 50, "instruction": "i" * 100}, 40_000),
    ],
)
def test_documents_are_set_aside_for_once_each(endpoint: str, fields: dict[str, object], most: int) -> None:
    need = bounded(json.dumps(fields).encode(), endpoint, CountersConfig(bytes_per_token=1), None)[1]
    assert len(json.dumps(fields)) <= need.prompt <= most


def test_what_is_read_with_each_document_is_set_aside_for_with_each() -> None:
    fields = {"query": "q" * 20, "documents": ["d"] * 50, "instruction": "i" * 1000}
    need = bounded(json.dumps(fields).encode(), "rerank", CountersConfig(bytes_per_token=1), None)[1]
    assert need.prompt >= 50 * 1020


def test_what_is_padded_counts_as_full_contexts() -> None:
    body = b'{"input":["a","b"],"padding":"max_length"}'
    assert bounded(body, "embeddings", CountersConfig(), 512)[1].prompt == 1024


@pytest.mark.parametrize(
    ("endpoint", "body", "field"),
    [
        ("completions", b'{"max_completion_tokens":1,"max_tokens":100000}', "max_completion_tokens"),
        ("messages", b'{"max_completion_tokens":1,"max_tokens":100000}', "max_completion_tokens"),
        ("chat_completions", b'{"max_output_tokens":1}', "max_output_tokens"),
        ("responses", b'{"max_tokens":1}', "max_tokens"),
        ("chat_completions", b'{"max_tokens":"100000"}', "max_tokens"),
        ("chat_completions", b'{"max_tokens":100000.0}', "max_tokens"),
        ("chat_completions", b'{"max_tokens":true}', "max_tokens"),
        ("chat_completions", b'{"max_tokens":-1}', "max_tokens"),
        ("chat_completions", b'{"n":"128","max_tokens":1}', "n"),
    ],
)
def test_a_size_that_two_readers_could_read_differently_is_refused(endpoint: str, body: bytes, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        bounded(body, endpoint, CountersConfig(), None)
    assert refused.value.param == field
