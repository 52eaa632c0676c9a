import pytest

from router.carry.transcript import Transcript
from router.meter import need_of, used_by
from router.relay import Relay
from router.tenants.limiter import Need
from router.wire.request import Reply


class Silent:
    """Where an answer would go."""

    date = b""
    blocked = ending = False

    def write(self, data: bytes) -> None:
        """Nobody reads."""

    def write_soon(self, data: bytes) -> None:
        """Nobody reads."""

    def reply_ended(self, *, keep: bool) -> None:
        """Nobody waits."""


def relay(tail: bytes, events: int = 0) -> Relay:
    from router.wire.request import Request

    made = Relay(Reply(Request(10, Silent().write), Silent()))
    made._last, made.events = tail, events  # noqa: SLF001 - an answer that has gone through
    return made


@pytest.mark.parametrize(
    ("tail", "used"),
    [
        (b'{"id":"x","usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}', Need(5, 7)),
        (b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7}}\n\ndata: [DONE]\n\n', Need(5, 7)),
        (
            b'data: {"type":"response.completed","response":{"usage":{"input_tokens":3,"output_tokens":4}}}\n\n',
            Need(3, 4),
        ),
        (
            b'event: message_delta\ndata: {"usage":{"input_tokens":3,"output_tokens":9}}\n\ndata: {"type":"end"}',
            Need(3, 9),
        ),
        (b'{"choices":[{"text":"\\"usage\\": lies"}]}', Need(0, 0)),
        (b"not JSON at all", Need(0, 0)),
    ],
)
def test_what_an_answer_says_that_it_used_is_believed(tail: bytes, used: Need) -> None:
    assert used_by(relay(tail), b"x" * 40) == used


def test_a_plain_servers_stream_that_tells_nothing_is_estimated_by_its_events() -> None:
    assert used_by(relay(b"data: {}\n\n", events=6), b"x" * 40) == Need(10, 6)


def test_a_stream_with_token_ids_is_counted_by_them() -> None:
    made = relay(b"")
    made.transcript = Transcript()
    made.transcript.strip(b": prompt 1,2,3\n: ids 4,5\ndata: {}\n\n: ids 6\ndata: {}\n\n")
    assert used_by(made, b"") == Need(3, 3)


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b'{"max_tokens":10}', 10),
        (b'{"max_completion_tokens":12,"max_tokens":10}', 12),
        (b'{"max_tokens":10,"n":3}', 30),
        (b'{"max_output_tokens":8}', 8),
        (b"{}", 100),
        (b'{"max_tokens":null,"n":null}', 100),
    ],
)
def test_what_is_set_aside_is_the_most_that_can_come(body: bytes, answer: int) -> None:
    assert need_of(body, 100, 1).answer == answer
    assert need_of(body, 100, 1).prompt >= len(body)
