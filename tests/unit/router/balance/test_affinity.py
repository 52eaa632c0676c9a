"""Keys of prompts' beginnings and the names that they belong to, which routers of all versions have to agree on."""

from typing import Any

import msgspec
import pytest

from patchbay.router.balance.affinity import beginning, first_choice
from patchbay.router.http.body import Prompt

NAMES = ["a", "b", "c", "d"]


def key(text: Any, system: bytes = b"") -> bytes:
    """The key of a prompt without the model's name, which comes first in it."""
    raw = text if isinstance(text, bytes) else msgspec.json.encode(text)
    name, rest = beginning("sql@1-aa", Prompt(text=msgspec.Raw(raw), system=msgspec.Raw(system))).split(b"\0", 1)
    assert name == b"sql@1-aa"
    return rest


def turn(role: str, text: str = "x") -> dict[str, str]:
    return {"role": role, "content": text}


def as_json(*turns: dict[str, str]) -> bytes:
    return b"\0".join(msgspec.json.encode(one) for one in turns)


SYSTEM, USER, ANSWER = turn("system"), turn("user"), turn("assistant")


@pytest.mark.parametrize(
    ("turns", "begins"),
    [
        ([USER], [USER]),
        ([USER, ANSWER, USER], [USER]),
        ([SYSTEM, USER], [SYSTEM, USER]),
        ([SYSTEM, USER, ANSWER], [SYSTEM, USER]),
        ([SYSTEM, SYSTEM, USER], [SYSTEM, SYSTEM]),
        ([ANSWER, USER], [ANSWER, USER]),
        ([{"content": "no role"}, USER], [{"content": "no role"}, USER]),
        ([{"role": 7}, USER], [{"role": 7}, USER]),
        ([{}], [{}]),
    ],
)
def test_a_chat_begins_with_the_messages_up_to_the_first_question_two_at_most(
    turns: list[dict[str, str]], begins: list[dict[str, str]]
) -> None:
    assert key(turns) == b"\0" + as_json(*begins)


def test_a_message_counts_up_to_its_2048th_byte() -> None:
    long = msgspec.json.encode(turn("user", "y" * 3000))
    assert key(b"[" + long + b"]") == b"\0" + long[:2048]
    assert key(b"[]", system=b"s" * 3000) == b"s" * 2048 + b"\0[]"


def test_the_instructions_beside_a_chat_come_before_it() -> None:
    assert key([USER], system=b'"be kind"') == b'"be kind"\0' + as_json(USER)


@pytest.mark.parametrize(
    "text", [b'"once upon a time"', b'"' + b"t" * 600 + b'"', b"[" + b"1," * 400 + b"1]", b"[]", b"[[1,2],[3]]", b""]
)
def test_a_text_and_token_ids_begin_with_their_first_512_bytes(text: bytes) -> None:
    assert key(text) == b"\0" + text[:512]


def test_routers_of_every_version_send_a_key_to_the_same_name() -> None:
    homes = "".join(first_choice(b"key %d" % number, NAMES) for number in range(40))
    assert homes == "bdbacadaddadaaaadbaddddbbccbddabbdbcbcac"
    assert {first_choice(b"key 1", order) for order in (NAMES, NAMES[::-1])} == {homes[1]}
