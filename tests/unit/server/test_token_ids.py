import json

from hypothesis import given
from hypothesis import strategies as st

from patchbay.router.carry.transcript import Transcript
from patchbay.server.token_ids import is_requested, move_to_comments

CHAT = "/v1/chat/completions"


def test_ids_are_asked_for_only_for_a_routers_streams_whose_client_does_not_ask_itself() -> None:
    assert is_requested(CHAT, {"stream": True}, b"1")
    assert not is_requested(CHAT, {"stream": True}, None)
    assert not is_requested(CHAT, {"stream": False}, b"1")
    assert not is_requested(CHAT, {"stream": True, "return_token_ids": True}, b"1")
    assert not is_requested("/v1/messages", {"stream": True}, b"1")


def event(text: str, ids: list[int] | None, prompt: list[int] | None, field: str = "content") -> bytes:
    """One as vLLM writes it."""
    choice = {"index": 0, "delta": {field: text}, "finish_reason": None, "token_ids": ids}
    whole = {"id": "x", "choices": [choice], "prompt_token_ids": prompt}
    return b"data: " + json.dumps(whole, separators=(",", ":"), ensure_ascii=False).encode() + b"\n\n"


def test_the_prompts_ids_and_an_events_own_become_comments() -> None:
    assert move_to_comments(event("a", [4, 5], [1, 2])) == (
        b": ids 4,5\n: prompt 1,2\n"
        b'data: {"id":"x","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n'
    )


tricky = st.text() | st.sampled_from(
    [
        '","token_ids":[1,2]',
        '\\","token_ids":[7]',
        '"token_ids":null',
        ',"prompt_token_ids":[3]',
        '\\\\","token_ids":[8]',
    ]
)


@given(tricky, st.lists(st.integers(0, 200_000), max_size=4) | st.none(), st.lists(st.integers(0, 9)) | st.none())
def test_whatever_the_text_says_only_the_ids_leave_and_the_router_gets_them_all(
    text: str, ids: list[int] | None, prompt: list[int] | None
) -> None:
    transcript = Transcript()
    seen = transcript.strip(move_to_comments(event(text, ids, prompt)))
    assert json.loads(seen.removeprefix(b"data: ")) == {
        "id": "x",
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}],
    }
    assert transcript.tokens == (ids or [])
    assert transcript.prompt == (prompt or [])
