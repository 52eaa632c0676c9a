"""Facts of a sentence that a lexical comparison can hold against a source: its words, its numbers, and whether it
denies."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from patchbay.guards.folding import fold

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
# Words for numbers, in English, German, French and Spanish. "One" is left out: it is an article, too.
_NUMBERS: Final = {
    word: str(number)
    for number, words in enumerate(
        (
            "two zwei deux dos",
            "three drei trois tres",
            "four vier quatre cuatro",
            "five funf cinq cinco",
            "six sechs seis",
            "seven sieben sept siete",
            "eight acht huit ocho",
            "nine neun neuf nueve",
            "ten zehn dix diez",
            "eleven elf onze once",
            "twelve zwolf douze doce",
        ),
        start=2,
    )
    for word in words.split()
}
_THOUSANDS = re.compile(r"\d{1,3}(?:[.,]\d{3})+")
# A list's number is no fact.
_ITEM = re.compile(r"\s*\(?\d{1,3}[.)]\s")
# Words that deny, in the languages of the stop words and in Italian, Portuguese, Dutch, Polish, Russian, Chinese and
# Japanese, as they are when folded.
_DENIAL = re.compile(
    r"(?<!\w)(?:not|no|never|none|nobody|nothing|neither|nor|cannot|without|nicht|kein\w{0,2}|nie|niemals|weder|ohne"
    r"|ne|n'\w+|pas|jamais|aucune?|sans|nunca|sin|tampoco|ningun\w?|non|mai|senza|nessun\w?|nao|sem|nenhum\w?|niet|geen"
    r"|nooit|zonder|nigdy|bez|не|нe|нет|нeт|без|бeз|никогда|никoгдa)(?!\w)|n't(?!\w)"
    r"|[不没未无無非]|ません|ない|なかった"
)


_APOSTROPHES: Final = str.maketrans("\u2019\u2018\u02bc\u00b4", "''''")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The facts of a stretch of text. `words`: those that carry meaning, numbers with them; `numbers`: the numbers;
    `denies`: whether a word of it denies."""

    words: frozenset[str]
    numbers: frozenset[str]
    denies: bool


def facts(text: str) -> Facts:
    """Returns the facts of a text."""
    folded = fold(text.translate(_APOSTROPHES)).casefold()
    item = _ITEM.match(folded)
    tokens = frozenset(_plain_tokens(folded[item.end() :] if item else folded))
    numbers = frozenset(token for token in tokens if token[0].isdecimal())
    return Facts(words=tokens - _STOP_WORDS, numbers=numbers, denies=_DENIAL.search(folded) is not None)


def _plain_tokens(folded: str) -> Iterator[str]:
    """Yields the words and numbers of a text; a number however it is written."""
    for token in _TOKEN.findall(folded):
        if _THOUSANDS.fullmatch(token):
            yield re.sub(r"[.,]", "", token)
        elif token[0].isdecimal():
            yield token.replace(",", ".")
        else:
            yield _NUMBERS.get(token, token)
