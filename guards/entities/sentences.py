"""Ends of sentences in a text that may still grow. Pure.

An end is told by what stands at it and one character after it, so it is the same however the text was cut. It is no
judge of grammar: what it takes for two sentences is asked about twice, with the first beside the second.
"""

import re
from typing import Final

_CLOSERS: Final = "\"'\u2019\u201d\u00bb)\\]}*_`\u300d\u300f\uff09\u3011\u300b"
_STOPS: Final = ".!?\u2026"
_WIDE: Final = "\u3002\uff01\uff1f\uff61"
# After a stop comes white space. The scripts whose stops are wide put none there. A line ends a sentence before an
# empty line, a point of a list, a heading, a quotation or a table. Only the first of several stops begins an end, so
# that the cost is linear.
_END: Final = re.compile(
    rf"(?P<stop>(?<![{_STOPS}])[{_STOPS}]+[{_CLOSERS}]*\s)"
    rf"|(?P<wide>(?<![{_WIDE}])[{_WIDE}]+[{_CLOSERS}]*(?=[^{_WIDE}{_CLOSERS}]))"
    r"|(?P<line>\n(?=[\n\r*#>|\u2022-]))"
)
# The word before a full stop, as far back as it may tell an abbreviation, and its last letters.
_LAST_WORD: Final = re.compile(r"[^\s(\[\"'\u201e\u201c]{0,12}?(?P<letters>[^\W\d_]*)\Z")
_WORD_CHARS: Final = 13
_SHORT: Final = frozenset(
    (
        *("dr", "mr", "mrs", "ms", "mx", "prof", "st", "jr", "sr", "rev", "hon", "gen", "col", "capt", "lt", "sgt"),
        *("vs", "no", "nr", "fig", "vol", "approx", "dept", "ave", "blvd", "rd", "str", "apt", "inc", "ltd", "co"),
        *("hr", "hrn", "fr", "frl", "geb", "bzw", "ca", "evtl", "ggf", "inkl", "vgl", "tel", "abs", "sog"),
        *("jan", "feb", "mar", "apr", "jun", "jul", "aug", "sept", "sep", "oct", "okt", "nov", "dec", "dez"),
        *("sra", "srta", "sig", "dott", "mme", "mlle", "av", "avda", "ul", "dhr", "mevr"),
    )
)


def sentence_end(text: str, start: int, end: int) -> int | None:
    """Returns where the sentence that begins at `start` ends, after the stop and the white space that follows it; None
    where no end is in `text` before `end`, or what stands there does not tell yet."""
    for match in _END.finditer(text, start, end):
        if match.lastgroup != "stop" or not _is_abbreviated(text, start, match):
            return match.end()
    return None


def _is_abbreviated(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether a full stop ends an abbreviation, an initial or an ordinal number, and no sentence."""
    if match[0][0] != "." or not match[0][1].isspace() or "\n" in match[0]:
        return False
    before = _LAST_WORD.search(text, max(start, match.start() - _WORD_CHARS), match.start())
    if before is None:
        return False
    word, letters = before[0], before["letters"]
    # "3." is a day's number in many languages, and "2024." a year at a sentence's end.
    is_ordinal = word.isdigit() and len(word) < 3
    return is_ordinal or len(letters) == 1 or "." in word or letters.lower() in _SHORT
