"""Masks come back in whatever form a model writes them, in a time that does not grow with how many there are."""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchbay.core.errors import ConfigError
from patchbay.core.offload import Offload
from patchbay.core.settings import parse_settings
from patchbay.guards.config import GuardsConfig
from patchbay.guards.judges.judge import TextOrigin
from patchbay.guards.judges.judges import Judges
from patchbay.guards.masks import Masks, Unmask, session_secret
from patchbay.guards.pipeline import Guards, compile_guards
from patchbay.guards.session import GuardSession

MAIL = "jane.doe@example.org"


class Counted(dict[str, str]):
    """Masks that count how often all of them were looked through."""

    walks = 0

    def __iter__(self) -> Iterator[str]:
        self.walks += 1
        return super().__iter__()


def restored(masks: Masks, text: str, size: int = 1, *, escaped: bool = False) -> str:
    unmask = Unmask(masks, escaped=escaped)
    parts = [unmask.feed(text[at : at + size]) for at in range(0, len(text), size)]
    return "".join([*parts, unmask.finish()])


def test_a_chunk_of_an_answer_looks_through_all_masks_of_the_prompt() -> None:
    masks = Masks()
    counted = masks.originals = Counted()
    known = [masks.mask("MAIL", f"m{number}@example.org") for number in range(20_000)]
    unmask = Unmask(masks)
    pieces = [piece for mask in known[:200] for piece in (mask[:8], mask[8:], " and [MA", "x] ")]
    out = "".join(map(unmask.feed, pieces)) + unmask.finish()
    assert out == "".join(f"m{number}@example.org and [MAx] " for number in range(200))
    assert counted.walks == 0


FORMS: dict[str, tuple[Callable[[str], str], str]] = {
    "verbatim": (lambda mask: f"Dear {mask}!", f"Dear {MAIL}!"),
    "small letters": (str.lower, MAIL),
    "capitals": (str.upper, MAIL),
    "no brackets": (lambda mask: mask.strip("[]"), MAIL),
    "one escape": (lambda mask: mask.replace("_", "\\_"), MAIL),
    "escapes": (lambda mask: "a " + mask.replace("[", "\\[").replace("]", "\\]").replace("_", "\\_"), f"a {MAIL}"),
    "bold": (lambda mask: f"**{mask}**", f"**{MAIL}**"),
    "a link": (lambda mask: f"[mail](mailto:{mask})", f"[mail](mailto:{MAIL})"),
    "round brackets": (lambda mask: f"({mask[1:-1]})", f"({MAIL})"),
    "angles": (lambda mask: f"<{mask[1:-1]}>", f"<{MAIL}>"),
    "other brackets": (lambda mask: f"【{mask[1:-1]}】", MAIL),
    "percent": (lambda mask: f"?to={quote(mask)}&x", f"?to={MAIL}&x"),
    "percent, small": (lambda mask: quote(mask).replace("%5B", "%5b").replace("_", "%5f"), MAIL),
    "a space": (lambda mask: mask.replace("_", " "), MAIL),
    "a dash": (lambda mask: mask.replace("_", "-"), MAIL),
    "possessive": (lambda mask: f"{mask}'s", f"{MAIL}'s"),
    "two lines": (lambda mask: f"{mask[:9]}\n{mask[9:]}", MAIL),
    "two indented lines": (lambda mask: f"{mask[:6]}\r\n  {mask[6:]}", MAIL),
    "nested": (lambda mask: f"[{mask}]", f"[{MAIL}]"),
    "escapes of JSON": (lambda mask: mask.replace("[", "\\u005b").replace("]", "\\u005D"), MAIL),
    "one bracket": (lambda mask: f"[see {mask[1:]}", f"[see {MAIL}]"),
    "half a bracket": (lambda mask: f"{mask[:-1]}, see]", f"[{MAIL}, see]"),
    "at the end": (lambda mask: f"to {mask[1:-1]}", f"to {MAIL}"),
    "cut": (lambda mask: mask[:-3], ""),
    "longer": (lambda mask: mask[:-1] + "0", ""),
}


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("form", FORMS)
def test_a_mask_comes_back_in_a_form_that_models_write(form: str, size: int) -> None:
    masks = Masks()
    mask = masks.mask("EMAIL", MAIL)
    write, shown = FORMS[form]
    assert restored(masks, write(mask), size) == (shown or write(mask))


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_what_comes_back_within_json_is_escaped(size: int) -> None:
    masks, text = Masks(), 'a "quoted"\nkey'
    mask = masks.mask("PRIVATE_KEY", text)
    document = json.dumps({"value": mask, "list": [mask + "!"], "n": 1})
    for escaped in (True, False):
        out = json.loads(restored(masks, document, size, escaped=escaped))
        assert out == {"value": text, "list": [text + "!"], "n": 1}
    bare = '{"value": ' + mask + ', "other": {"n": -1}}'
    for escaped in (True, False):
        assert json.loads(restored(masks, bare, size, escaped=escaped)) == {"value": text, "other": {"n": -1}}
    broken = json.dumps({"value": f"{mask[:4]}\n{mask[4:]}"})
    assert json.loads(restored(masks, broken, size, escaped=True)) == {"value": text}
    assert restored(masks, f'He said "{mask}" and {{left}}.', size) == f'He said "{text}" and {{left}}.'


PIECES = st.lists(
    st.sampled_from(
        ["MASK", "HALF", "REST", "[", "]", "\\", "%5", "B", "EMAIL", "_", "0", "a", "\n", " ", '{"', '"', ":"]
    ),
    max_size=14,
)


@given(PIECES, st.lists(st.integers(0, 300), max_size=12), st.booleans())
@settings(deadline=None, max_examples=400)
def test_what_comes_back_depends_on_how_the_answer_is_cut(
    pieces: Sequence[str], cuts: Sequence[int], escaped: bool
) -> None:
    masks = Masks()
    mask = masks.mask("EMAIL", 'a"b', b"session")
    masks.mask("E", "c", b"session")
    named = {"MASK": mask, "HALF": mask[:9], "REST": mask[9:]}
    text = "".join(named.get(piece, piece) for piece in pieces)
    unmask, edges = Unmask(masks, escaped=escaped), sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    out = "".join(unmask.feed(text[start:end]) for start, end in pairwise(edges)) + unmask.finish()
    assert out == restored(masks, text, len(text) + 1, escaped=escaped)


def test_what_is_held_of_an_answer_is_bounded() -> None:
    masks = Masks()
    masks.mask("EMAIL", MAIL)
    for unit in ("\\", "[", "\n", " ", "EMAIL", "EMAIL_0", "0", "_", "%5", "\\\n"):
        unmask = Unmask(masks)
        assert 20_000 - sum(len(unmask.feed(unit)) for _ in range(20_000 // len(unit))) < 400


def test_masks_of_a_session_are_the_same_and_no_others_are() -> None:
    first, second = session_secret(b"k", "acme", "hello"), session_secret(b"k", "acme", "hello")
    assert Masks().mask("EMAIL", MAIL, first) == Masks().mask("EMAIL", MAIL, second)
    others = [session_secret(b"k", "acmeh", "ello"), session_secret(b"j", "acme", "hello"), None, None]
    assert len({Masks().mask("EMAIL", MAIL, secret) for secret in (first, *others)}) == 5
    masks = Masks()
    assert masks.mask("EMAIL", MAIL, first) != masks.mask("EMAIL", "joe@example.org", first)
    assert masks.mask("EMAIL", MAIL, first) == masks.mask("EMAIL", MAIL, first)


def test_two_values_never_have_one_token() -> None:
    masks, secret = Masks(), session_secret(b"k", "t")
    token = masks.mask("A", "one", secret)[3:-1]
    masks.originals[token] = "another"
    assert Masks.mask(masks, "B", "one", secret)[3:-1] != token


async def nobody(*_: Any) -> Any:
    raise AssertionError("nobody is asked")


@pytest.fixture(scope="module")
def guards() -> Guards:
    own = {"kind": "rules", "patterns": {"mail": "[a-z.]{1,20}@[a-z.]{1,20}", "num": "4{16}"}, "on": ["input"]}
    made = {"each": {**own, "action": "mask"}, "same": {**own, "action": "mask", "mask": {"stable": "session"}}}
    config = parse_settings(GuardsConfig, {"guards": made}, source="x")
    return compile_guards(config, [("each",), ("same",)], None, None)


async def sent(guards: Guards, name: str, tenant: str, *turns: str, tool: str = "") -> tuple[GuardSession, list[str]]:
    """A session, and the texts of the prompt that the engine gets."""
    session = GuardSession(
        pipeline=guards.pipeline((name,), tenant) or pytest.fail("it has guards"),
        endpoint="chat_completions",
        key=b"key",
        judges=Judges(ask=nobody, again=nobody, wanted=list),
        facts=TextOrigin(request="r", tenant=tenant),
        offload=Offload(),
    )
    messages: list[dict[str, Any]] = [{"role": "user", "content": turn} for turn in turns]
    if tool:
        messages.append({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": tool}}]})
    body = json.loads(await session.checked(json.dumps({"messages": messages}).encode()))
    return session, [one.get("content") or one["tool_calls"][0]["function"]["arguments"] for one in body["messages"]]


@pytest.mark.anyio
async def test_a_conversation_has_the_same_masks_in_all_of_its_turns(guards: Guards) -> None:
    turns = (f"I am {MAIL}", f"and {MAIL} again", "bye")
    _, first = await sent(guards, "same", "acme", *turns[:1])
    _, later = await sent(guards, "same", "acme", *turns)
    assert later[0] == first[0] != turns[0]
    assert first[0][5:] in later[1]
    for name, tenant, start in (
        ("same", "other", turns[0]),
        ("same", "acme", f"We are {MAIL}"),
        ("each", "acme", turns[0]),
    ):
        _, other = await sent(guards, name, tenant, start)
        assert first[0][5:] not in other[0]


@pytest.mark.anyio
async def test_what_is_masked_in_a_tools_arguments_comes_back_as_it_was(guards: Guards) -> None:
    arguments = json.dumps({"to": "caf\u00e9 \u200b" + MAIL, "n": int("4" * 16)})
    session, texts = await sent(guards, "each", "", "hi", tool=arguments)
    seen = json.loads(texts[1])
    assert MAIL not in texts[1]
    assert isinstance(seen["n"], str)
    out = restored(session._masks, texts[1], 7, escaped=True)  # noqa: SLF001 - what it gives back
    assert json.loads(out) == {**json.loads(arguments), "n": "4" * 16}


def test_a_key_for_masks_without_masks_is_refused() -> None:
    guard = {"kind": "rules", "sets": ["pii"], "mask": {"stable": "session"}}
    with pytest.raises(ConfigError, match=r"'guards\.g\.mask': nothing is masked"):
        parse_settings(GuardsConfig, {"guards": {"g": guard}}, source="x")
