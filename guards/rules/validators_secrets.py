"""Validators of secrets: tests for random text, and for what stands in its place in examples. Pure."""

import base64
import binascii
import json
import math
import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

import ahocorasick

from patchbay.guards.rules.validators import digits_of

# Bits for each character from which text looks random.
_RANDOM_BITS: Final = 3.5
_SHORT_BITS: Final = 3.2
_TOKEN_BITS: Final = 2.9
# A token whose beginning and length are a service's own needs no more than not to be one letter or two.
_VARIED_BITS: Final = 1.9
_HEADER_BITS: Final = 2.75
_PASSWORD_BITS: Final = 2.4
_SHORTEST: Final = 12
# What says of itself that it is none.
_PLACEHOLDER: Final = re.compile(
    r"example|sample|placeholder|change_?me|your[_-]|xxxx|\*\*\*|\.\.\.|dummy|redacted|insert|replace|<|\$[{(]|\{\{|abcdefghijklm"
    r"|deadbeef|todo|fixme|none_of|undefined",
    re.IGNORECASE,
)
# Names in a program, words with dashes, paths, versions and dates.
_PLAIN: Final = re.compile(
    r"[A-Za-z_.-]+|(?:[a-z]{2,}[._/-]){2,}[a-z0-9]+|[./~][a-z0-9_./-]+|[a-z]{2,}(?:[._-](?:[a-z]+|\d{1,4}))+|v?\d+(?:[._-]\w+){1,5}|\d{1,16}"
    r"|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+|(?:[A-Z][a-z]+){2,}\d{0,4}|sha(?:1|256|384|512)-.*|[A-Z]+(?:_[A-Z0-9]+)+"
)
# Words that a random text of a secret's length hardly ever has in it.
_WORDS: Final = re.split(
    r"\|",
    "password|secret|token|access|account|address|admin|amazon|android|apache|application|argument|article|attribute|"
    "author|backup|badge|binary|bootstrap|branch|browser|bucket|buffer|button|cache|callback|catalog|category|center|"
    "channel|checkout|client|cluster|column|command|comment|common|compon|config|connect|console|constant|contain|"
    "content|context|control|cookie|create|credential|current|custom|database|datetime|default|delete|deploy|descr|"
    "detail|develop|device|dialog|direct|disable|display|docker|document|domain|download|editor|element|email|enable|"
    "encod|encrypt|endpoint|engine|entity|error|event|exception|expire|export|extension|extern|factory|feature|field|"
    "filter|folder|footer|format|function|gateway|generat|github|global|google|group|handler|header|height|history|"
    "identif|image|import|index|input|instance|integr|interface|internal|kubern|language|layout|library|license|linux|"
    "listen|local|locat|login|manag|master|message|method|metric|migrat|mobile|module|monitor|mozilla|navig|network|"
    "normal|number|object|office|online|option|orange|output|package|param|parent|parse|plugin|policy|portal|position|"
    "prefix|primary|private|process|product|profile|project|properties|property|protocol|provider|public|query|queue|"
    "random|record|redirect|refresh|region|register|release|remote|render|report|request|require|reset|resource|"
    "response|result|return|role|router|sandbox|schema|schedul|screen|script|search|section|select|serial|server|"
    "service|session|setting|shared|sidebar|signature|simple|single|source|stage|static|status|storage|stream|string|"
    "style|submit|support|switch|symbol|system|table|target|template|tenant|terminal|testing|thread|ticket|title|"
    "toggle|toolbar|tracker|transform|update|upload|user|valid|value|vendor|verify|version|video|virtual|visual|"
    "volume|warning|webhook|website|widget|width|window|windows|worker|workflow|wrapper",
)

_HEXADECIMAL: Final = re.compile(r"[0-9a-fA-F]+")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_VARIABLE: Final = re.compile(r"^[$%@<{\[(]|\$\{|\$\(|\{\{|^\*+$|[(\[]$|\(\)|^process\.|^os\.|^env[.(\[]")
_STAND_INS: Final = re.compile(
    r"(?i:change_?(?:it|me)\d*|pass(?:word|wd|phrase)?\d{0,3}|pwd|test(?:ing)?\d{0,3}|token|secret\d?|x+|\*+|\.+|none|null|"
    r"true|false|foo(?:bar)?|bar|example|string|user(?:name)?|required|optional|hidden|your.*|my_?pass.*|the_?pass.*)"
)


def entropy(text: str) -> float:
    """Returns the bits for each character, by the frequency of each in `text` (Shannon, 1948)."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)


def random_looking(text: str) -> bool:
    """Whether text has letters and digits, and at least 3.5 bits for each character."""
    mixed = re.search("[A-Za-z]", text) is not None and re.search("[0-9]", text) is not None
    return mixed and entropy(text) >= _RANDOM_BITS


def token_like(text: str) -> bool:
    """Whether a token's longest run of letters and digits is varied, as that of an example made of one letter is not,
    and says nowhere that it is an example."""
    run = max(re.findall("[A-Za-z0-9]+", text), key=len, default="")
    return _PLACEHOLDER.search(text) is None and entropy(run) >= min(_VARIED_BITS, 0.6 * math.log2(len(run) + 1))


def assigned_secret(text: str) -> bool:
    """Whether a value that a secret's name is given looks random, and holds no words."""
    value = text.rstrip("=.:")
    if len(value) < _SHORTEST or not digits_of(value) or _is_plain(value) or _PLACEHOLDER.search(value):
        return False
    if _HEXADECIMAL.fullmatch(value):
        return len(value) >= 16 and not value.isdigit() and entropy(value) >= _TOKEN_BITS
    return entropy(value) >= _SHORT_BITS and not _has_words(value)


def service_secret(text: str) -> bool:
    """Whether a value that a service's name is given looks random: no words with dashes, no path, no address."""
    value = text.rstrip("=.:")
    if len(value) < _SHORTEST or _is_plain(value) or _PLACEHOLDER.search(value) or "//" in value:
        return False
    mixed = bool(digits_of(value)) or value not in (value.lower(), value.upper())
    return mixed and entropy(value) >= _TOKEN_BITS and not _has_words(value)


def password(text: str) -> bool:
    """Whether the text between the last quotes may be a password: letters and digits, and no example."""
    value = re.split("[\"'`]", text)[-2]
    mixed = re.search("[A-Za-z]", value) is not None and (bool(digits_of(value)) or re.search("[!@#%^&*?]", value))
    return bool(mixed) and entropy(value) >= _PASSWORD_BITS and not _told_elsewhere(value)


def bare_password(text: str) -> bool:
    """The same for a value without quotes, which needs a sign of its own, as it may be a name in a program."""
    value = re.split(r"[=:]\s?", text, maxsplit=1)[-1]
    letters, signs = re.search("[A-Za-z]", value), re.search(r"[!@#%^&*?]", value)
    return (
        bool(letters and signs and digits_of(value)) and entropy(value) >= _PASSWORD_BITS and not _told_elsewhere(value)
    )


def credentials(text: str) -> bool:
    """Whether a name and a password with a colon between them are real ones: no variables, no examples."""
    inner = text.rsplit("://", maxsplit=1)[-1].rstrip("@").strip("\"'")
    name, _, word = re.split(r"[\s=]", inner)[-1].strip("\"'").rpartition(":")
    return not _told_elsewhere(word or name) and _PLACEHOLDER.search(word) is None


def header_secret(text: str) -> bool:
    """Whether the value of a header is a secret: varied, and no example."""
    value = re.split(r"[\s:]", text.rstrip("\"'"))[-1]
    return entropy(value) >= _HEADER_BITS and not _told_elsewhere(value) and _PLACEHOLDER.search(value) is None


def _is_plain(value: str) -> bool:
    return _PLAIN.fullmatch(value) is not None and _UUID.fullmatch(value) is None


def _automaton(words: Iterable[str]) -> "ahocorasick.Automaton":
    """Makes what finds `words` in one pass: an expression with as many branches takes a hundred times as long."""
    made = ahocorasick.Automaton()
    for word in words:
        made.add_word(word, len(word))
    made.make_automaton()
    return made


_FINDS_WORDS: Final = _automaton(_WORDS)


def _has_words(value: str) -> bool:
    """Whether a word is in it, all in one case: mixed case that spells one is chance."""
    found = (value[last + 1 - length : last + 1] for last, length in _FINDS_WORDS.iter(value.lower()))
    return any(word in (word.lower(), word.upper(), word.capitalize()) for word in found)


def _told_elsewhere(value: str) -> bool:
    """Whether it is a variable, a call, an example or one of the words that stand for a password."""
    return _VARIABLE.search(value) is not None or _STAND_INS.fullmatch(value) is not None


def jwt(text: str) -> bool:
    """Checks a JSON web token by RFC 7519: the first segment is base64url of a JSON object."""
    head = text.partition(".")[0]
    try:
        return isinstance(json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))), dict)
    except (ValueError, binascii.Error):
        return False


def jwt_encoded(text: str) -> bool:
    """Checks base64 of a JSON web token: it begins with one's first segment."""
    plain = text.rstrip("=").translate(str.maketrans("-_", "+/"))
    data = base64.b64decode(plain[: len(plain) // 4 * 4])
    return jwt(data.decode("ascii", "replace"))
