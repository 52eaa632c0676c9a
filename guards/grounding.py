"""Grounding: a lexical measure of how much of an answer is in the sources that it was given.

It finds what no source says in such words, not what is untrue: a negation or another order of words goes unseen.

A sentence is supported if enough of its words that carry meaning are in one source.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from patchbay.guards.folding import fold

_CITATION = re.compile(r"\[\^?(?P<square>[0-9]{1,3})\]|【(?P<lens>[0-9]{1,3})(?:[:†][^】\n]{0,200})?】")
_CODE_OR_CITATION = re.compile(rf"```.*?(?:```|\Z)|`[^`\n]*`|(?P<citation>{_CITATION.pattern})", re.DOTALL)
# A sentence ends at a line break, or at its mark with the quotes and citations that belong to it. White space follows,
# except after Chinese marks.
_END = re.compile(
    r"[.!?…]++(?:[\"'”’»)*_]|\[\^?[0-9]{1,3}\]|\]|【[0-9]{1,3}】)*+(?=\s|\Z)|[。！？]++[」』”’）]*+|[\r\n]++"  # noqa: RUF001
)
_LAST_WORD = re.compile(r"(?:[^\W_]\.?)+\Z")
# Words that a full stop may follow within a sentence. It may also follow a single capital, and a number at the
# beginning of a sentence.
_ABBREVIATIONS: Final = frozenset(
    "abs al approx aufl bd bzgl bzw ca cf col d.h dept dr e.g ed eds eq esp est evtl fig figs ff fr"  # noqa: SIM905
    " ggf hr i.d.r i.e inkl jr lt mme mr mrs ms mt nr núm o.ä p.ej p.ex pp prof rd rev s.o s.u sen"
    " sog sr sra st tel u.a u.u usf usw v.a vgl viz vol vs z.b zzgl".split()
)
# Han and kana characters one by one, as no white space is between their words; numbers with their decimals; other
# words.
_TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|\d+(?:[.,]\d+)*|[^\W\d_\u3040-\u30ff\u3400-\u9fff]+")
_STOP_WORDS: Final = frozenset(
    "a about also an and any are as at be been but by can could d did do does for from had has have"  # noqa: SIM905
    " he her his how i if in into is it its ll m may more most my no not of on or our re s she"
    " should so some such t than that the their them then there these they this those to ve was we"
    " were what when which who will with would you your aber als am auch auf aus bei bis das dass"
    " dem den der des die durch ein eine einem einen einer er es fur haben hat ich ihr im ist kann"
    " mit nach nicht noch nur oder sich sie sind uber um und von vor war wenn werden wie wir wird zu"
    " zum zur au aux avec c ce ces cette dans de du elle en est et eux il ils j je l la le les leur"
    " mais n ne nous ont ou par pas pour qu que qui sa se ses son sont sur un une vous al como con"
    " del el ella entre era esta este ha hay las lo los mas muy o para pero por ser si sin su sus y"
    " ya".split()
)


@dataclass(frozen=True, slots=True)
class Grounding:
    """The support of one answer by its sources.

    `share`: the share of sentences that are supported, 0 to 1; `unsupported`: the others, by start and end in
    characters; `missing_citations`: the citations that point to no source, as they are written, each once.
    """

    share: float
    unsupported: tuple[tuple[int, int], ...] = ()
    missing_citations: tuple[str, ...] = ()


def grounding(answer: str, sources: Sequence[str], overlap: float = 0.6) -> Grounding:
    """Measures how much of `answer` is in `sources`.

    `overlap`: the share of a sentence's different words, 0 to 1, that one source must hold. A sentence without words
    that carry meaning is supported, and an answer without sentences is supported wholly. Citations count sources from
    1; those in code do not count. Raises ValueError if `overlap` is not within 0 to 1.
    """
    if not 0 <= overlap <= 1:
        raise ValueError("overlap is a share: 0 to 1")
    spans = list(sentences(answer))
    source_words = [_words(source) for source in sources]
    unsupported = tuple(span for span in spans if not _is_supported(answer[slice(*span)], source_words, overlap))
    share = (len(spans) - len(unsupported)) / len(spans) if spans else 1.0
    return Grounding(share, unsupported, tuple(dict.fromkeys(_missing(answer, len(sources)))))


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Yields the start and end of each sentence of a text, in characters, without the white space around it. Decimals,
    common abbreviations and a list's numbers do not end one."""
    start = 0
    for end in _END.finditer(text):
        if end[0] == "." and _is_abbreviation(text, start, end.start()):
            continue
        yield from _trimmed(text, start, end.end())
        start = end.end()
    yield from _trimmed(text, start, len(text))


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    inner = text[start:end]
    if bare := inner.strip():
        first = start + len(inner) - len(inner.lstrip())
        yield first, first + len(bare)


def _is_abbreviation(text: str, start: int, stop: int) -> bool:
    """Whether the full stop at `stop` belongs to a word or number, so that the sentence from `start` goes on."""
    word = _LAST_WORD.search(text, max(start, stop - 16), stop)
    if word is None:
        return False
    lowered = word[0].casefold()
    if lowered.isdecimal():
        return not text[start : word.start()].strip()
    return lowered in _ABBREVIATIONS or (len(lowered) == 1 and word[0].isupper() and word[0] != "I")


def _is_supported(sentence: str, source_words: Sequence[frozenset[str]], overlap: float) -> bool:
    words = _words(_CITATION.sub(" ", sentence))
    return not words or any(len(words & source) / len(words) >= overlap for source in source_words)


def _words(text: str) -> frozenset[str]:
    return frozenset(token.casefold() for token in _TOKEN.findall(fold(text))) - _STOP_WORDS


def _missing(answer: str, sources: int) -> Iterator[str]:
    for match in _CODE_OR_CITATION.finditer(answer):
        if match["citation"] and not 1 <= int(match["square"] or match["lens"]) <= sources:
            yield match["citation"]
