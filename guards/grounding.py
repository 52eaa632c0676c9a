"""Grounding: a lexical measure of how much of an answer is in the sources that it was given.

A sentence is supported if enough of its words that carry meaning are in one source, all its numbers are, and where the
source says the same it does not deny what the sentence says, or the other way round. So a number that was changed and a
negation are seen; another order of words, or another word for the contrary, is not.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from patchbay.guards.facts import Facts, facts

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
# Where a sentence of a source is cut into clauses, which may deny each by itself.
_CLAUSE = re.compile(r"[,;:\u3001\uff0c\uff1b\u2013\u2014]|\b(?:but|while|whereas|aber|sondern|mais|pero)\b")
# The most stretches of a source that one word is looked up in, and the share of a sentence's words from which on a
# stretch says the same or the contrary.
_STRETCHES, _ALIKE = 64, 0.5


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

    `overlap`: the share of a sentence's different words, 0 to 1, that one source must hold, beside all its numbers. A
    sentence without words that carry meaning is supported, and an answer without sentences is supported wholly.
    Citations count sources from 1; those in code do not count. Raises ValueError if `overlap` is not within 0 to 1.
    """
    if not 0 <= overlap <= 1:
        raise ValueError("overlap is a share: 0 to 1")
    spans = list(sentences(answer))
    read = [_Source(source) for source in sources]
    unsupported = tuple(span for span in spans if not _is_supported(answer[slice(*span)], read, overlap))
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


class _Source:
    """One source, as sentences are held against it: its words and numbers, and its stretches (sentences and clauses)
    by their words."""

    def __init__(self, text: str) -> None:
        self._all = facts(text)
        self._stretches = [facts(stretch) for stretch in _stretches(text)]
        self._exact = {(one.words, one.denies) for one in self._stretches}
        self._with: dict[str, list[int]] = {}
        for number, stretch in enumerate(self._stretches):
            for word in stretch.words:
                places = self._with.setdefault(word, [])
                if len(places) < _STRETCHES:
                    places.append(number)

    def supports(self, said: Facts, overlap: float) -> bool:
        """Whether it says what a sentence says."""
        if len(said.words & self._all.words) < overlap * len(said.words) or not said.numbers <= self._all.numbers:
            return False
        if (said.words, said.denies) in self._exact:
            return True
        shares = [(share, self._stretches[place].denies == said.denies) for place, share in self._alike(said)]
        best = max((share for share, _ in shares), default=0.0)
        return not shares or any(agrees for share, agrees in shares if share >= min(overlap, best))

    def _alike(self, said: Facts) -> Iterator[tuple[int, float]]:
        """Yields the stretches that say the same or the contrary, with the share of the sentence's words that each
        has."""
        counts = Counter(place for word in said.words for place in self._with.get(word, ()))
        for place, count in counts.items():
            if count >= _ALIKE * len(said.words):
                yield place, count / len(said.words)


def _is_supported(sentence: str, sources: Sequence[_Source], overlap: float) -> bool:
    said = facts(_CITATION.sub(" ", sentence))
    return not said.words or any(source.supports(said, overlap) for source in sources)


def _stretches(text: str) -> Iterator[str]:
    """Yields the sentences of a source, and the clauses of each."""
    for start, end in sentences(text):
        sentence = _CITATION.sub(" ", text[start:end])
        yield sentence
        clauses = _CLAUSE.split(sentence)
        if len(clauses) > 1:
            yield from clauses


def _missing(answer: str, sources: int) -> Iterator[str]:
    for match in _CODE_OR_CITATION.finditer(answer):
        if match["citation"] and not 1 <= int(match["square"] or match["lens"]) <= sources:
            yield match["citation"]
