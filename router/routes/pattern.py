"""Regular expressions that the configuration has of requests' texts, on RE2: their time is linear in the text.

Source: https://github.com/google/re2/wiki/Syntax
"""

import re2

_MEMORY = 4 << 20


def compiled_pattern(value: str) -> "re2._Regexp[str]":
    """The compiled pattern. Raises ValueError where RE2 takes it not: it knows no look-around and no back-references,
    and its classes (`\\w`) and `\\b` are ASCII's."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    try:
        return re2.compile(value, options)
    except (re2.error, UnicodeEncodeError) as error:
        said = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else "bad characters"
        raise ValueError(f"'{value[:100]}' is no regular expression that RE2 takes: {said[:100]}") from error


def whole(text: str) -> str:
    """`text`, with U+FFFD for each half of a surrogate pair, which is no character and cannot be matched."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
