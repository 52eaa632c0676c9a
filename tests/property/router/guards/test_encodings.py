"""Texts in escapes and encodings: each is found as it would be in plain, however the text is cut."""

import base64
import html
import json
from collections.abc import Callable
from itertools import pairwise
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from patchbay.guards.config import GuardsConfig
from patchbay.guards.escapes import Escapes
from patchbay.guards.folding import FoldedTail
from patchbay.guards.pipeline import Pipeline, compile_guards
from patchbay.guards.stream.channel import Channel

MAIL, KEY = "jane.doe@example.org", "AKIA" + "Q3EGRXH7" * 2
SECRETS = (MAIL, KEY, "forbidden word", "4111 1111 1111 1111")
SETTINGS = {
    "guards": {
        "rules": {"kind": "rules", "sets": ["pii", "secrets"], "action": "redact"},
        "words": {"kind": "rules", "words": ["forbidden word"], "action": "redact"},
    },
    "guard_all": ["rules", "words"],
}


def made() -> Pipeline:
    pipeline = compile_guards(GuardsConfig.model_validate(SETTINGS), [()], None, None).pipeline((), "")
    assert pipeline is not None
    return pipeline


PIPELINE = made()


def through(pieces: list[str], *, escaped: bool = False) -> tuple[str, set[tuple[int, int, str]]]:
    """What comes out, and the spans that were found."""
    channel = Channel(PIPELINE.watches("output", None, escaped=escaped), lambda span: "[X]", is_json=escaped)
    released = [*(channel.feed(piece) for piece in pieces), channel.finish()]
    spans = {(span.start, span.end, span.rule) for part in released for span in part.spans}
    return "".join(part.text for part in released), spans


def percent(text: str) -> str:
    return "".join(f"%{ord(char):02x}" if char in "@.- " else char for char in text)


def mathematical(text: str) -> str:
    """Letters and digits as those that mathematics has, which stand beyond 0xFFFF."""
    bold = {**{65 + at: 0x1D400 + at for at in range(26)}, **{97 + at: 0x1D41A + at for at in range(26)}}
    return text.translate({**bold, **{48 + at: 0x1D7CE + at for at in range(10)}})


FILLER = "It was a dark and stormy night; the rain fell in torrents, except at occasional intervals."


def in_lines(text: str, length: int, end: str) -> str:
    whole = base64.b64encode(text.encode()).decode()
    return end.join(whole[at : at + length] for at in range(0, len(whole), length))


ENCODINGS: dict[str, Callable[[str], str]] = {
    "percent, signs": percent,
    "percent, all": lambda text: "".join(f"%{ord(char):02X}" for char in text),
    "percent, as a URL has it": quote,
    "entities, decimal": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "entities, hexadecimal": lambda text: "".join(f"&#x{ord(char):x};" for char in text),
    "entities, named": lambda text: text.replace("@", "&commat;").replace(".", "&period;").replace(" ", "&nbsp;"),
    "JSON": lambda text: "".join(f"\\u{ord(char):04x}" for char in text),
    "JSON in JSON": lambda text: "".join(f"\\\\u{ord(char):04x}" for char in text),
    "JSON, beyond 0xFFFF": lambda text: json.dumps(mathematical(text))[1:-1],
    "JSON in JSON, beyond 0xFFFF": lambda text: json.dumps(json.dumps(mathematical(text)))[3:-3],
    "code": lambda text: "".join(f"\\x{ord(char):02x}" for char in text),
    "Markdown": lambda text: text.replace(".", "\\.").replace("@", "\\@").replace(" ", "\\ ").replace("\\ ", " "),
    "tags": lambda text: "".join(chr(0xE0000 + ord(char)) for char in text),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 amid more": lambda text: base64.b64encode(f"my very own {text} is here".encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(f"??>> {text} ~~".encode()).decode().rstrip("="),
    "base64 behind letters": lambda text: "xy" + base64.b64encode(text.encode()).decode(),
    "base64 of percent": lambda text: base64.b64encode(ENCODINGS["percent, all"](text).encode()).decode(),
    "base64 of entities": lambda text: base64.b64encode(ENCODINGS["entities, decimal"](text).encode()).decode(),
    "base64 of base64": lambda text: base64.b64encode(base64.b64encode(text.encode())).decode(),
    "base64 of hexadecimal": lambda text: base64.b64encode(text.encode().hex().encode()).decode(),
    "hexadecimal of base64": lambda text: base64.b64encode(text.encode()).hex(),
    "base64 in a URL": lambda text: quote(base64.b64encode(f"??>>?>?~ {text} ~~?>".encode()).decode(), safe=""),
    "base64 in lines": lambda text: base64.encodebytes(f"{FILLER} {text} {FILLER}".encode()).decode().rstrip(),
    "base64 in lines of 64": lambda text: in_lines(f"{FILLER} {text} {FILLER}", 64, "\r\n"),
    "base64 in lines, as a string": lambda text: in_lines(f"{FILLER} {text} {FILLER}", 60, "\\n"),
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal in capitals": lambda text: text.encode().hex().upper(),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("secret", SECRETS)
def test_an_encoding_hides_a_secret(encoding: str, secret: str) -> None:
    hidden = ENCODINGS[encoding](secret)
    out, _ = through([f"It is ({hidden}), says he."])
    assert hidden not in out
    assert out.startswith("It is ([X]")
    assert out.endswith("), says he.")


def test_escapes_of_html_in_a_tools_arguments_hide_a_secret() -> None:
    for hidden in (
        percent(MAIL),
        html.escape(MAIL).replace("@", "&#64;"),
        json.dumps("\\u0040")[1:-1].join(MAIL.split("@")),
        json.dumps(mathematical(MAIL))[1:-1],
        json.dumps(json.dumps(mathematical(MAIL)))[3:-3],
    ):
        out, _ = through([json.dumps({"to": "x"}).replace("x", hidden)], escaped=True)
        assert json.loads(out) == {"to": "[X]"}


def test_what_has_no_escape_in_it_is_found_twice() -> None:
    _, spans = through([f"100% of {MAIL} & {percent(MAIL)} \\"])
    assert sorted((start, end) for start, end, _ in spans) == [(8, 28), (31, 31 + len(percent(MAIL)))]


PARTS = [*"%40&#6;\\uxn10aA= ", "&amp;", "&#64;", "\\u0041", "%4", "jane", "@", "example", ".org", "forbidden", " word"]
PARTS += ["4111 1111", "1111 1111", KEY[:9], KEY[9:], percent(MAIL), base64.b64encode(MAIL.encode()).decode(), MAIL]
LINED = in_lines(f"{FILLER} {MAIL} {FILLER}", 64, "\n")
PARTS += [LINED, LINED[:100], LINED[100:], LINED.replace("\n", "\\n"), "\n", "\r\n", "=", "%2B", "Q" * 40]
PARTS += ["\\ud835", "\\udfd2", "\\ud835\\udfd2", "\\\\ud835\\\\udfd2", "\\"]
TEXTS = st.lists(st.sampled_from(PARTS), max_size=12).map("".join)


@settings(deadline=None, max_examples=400)
@given(text=TEXTS, cuts=st.lists(st.integers(0, 200), max_size=6), escaped=st.booleans())
@example(text="x\\u0041\\&amp;", cuts=[9], escaped=False)
@example(text=f"{LINED}==a", cuts=[len(LINED) + 2], escaped=False)
@example(text=f"{LINED}==a", cuts=[len(LINED) + 1], escaped=False)
def test_how_a_text_is_cut_makes_a_difference(text: str, cuts: list[int], escaped: bool) -> None:
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[start:end] for start, end in pairwise(places)]
    assert through(pieces, escaped=escaped) == through([text], escaped=escaped)


@settings(deadline=None)
@given(text=TEXTS, cuts=st.lists(st.integers(0, 200), max_size=6), in_json=st.booleans())
def test_escapes_are_read_otherwise_where_a_text_is_cut(text: str, cuts: list[int], in_json: bool) -> None:
    def read(pieces: list[str]) -> str:
        tail = FoldedTail(escaped=in_json, escapes=Escapes(in_json=in_json))
        for piece in pieces:
            tail.add(piece)
        tail.finish()
        return tail.text

    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    assert read([text[start:end] for start, end in pairwise(places)]) == read([text])


@pytest.mark.parametrize("columns", [100_000, 76])
def test_a_secret_in_a_long_run_gets_through_or_a_long_run_is_held_for_ever(columns: int) -> None:
    blob = in_lines("x" * 20_000 + f" {MAIL} " + "y" * 20_000, columns, "\n")
    whole, spans = through([blob])
    pieces = [blob[place : place + 700] for place in range(0, len(blob), 700)]
    assert through(pieces) == (whole, spans)
    assert spans
    hidden = base64.b64encode((" " * 2 + f" {MAIL} ").encode()).decode()[4:24]
    assert hidden in blob.replace("\n", "")
    assert hidden not in whole.replace("\n", "")
    channel = Channel(PIPELINE.watches("output", None, escaped=False), lambda span: "[X]")
    for piece in pieces:
        channel.feed(piece)
        assert channel.held <= 5000


@pytest.mark.parametrize(
    "text",
    [
        "internationalisation_of_all_our_interfaces",
        "3f786850e387550fdab836ed7e6dc881de23001b",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "f47ac10b-58cc-4372-a567-0e02b2c3d479",
        "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==",
        "100% of R&D, 5 &lt; 6, C:\\new\\users, \\d{3}\\-\\d{4}, 50%25 off",
    ],
)
def test_what_is_nobodys_secret_is_taken_for_one(text: str) -> None:
    assert through([text]) == (text, set())
