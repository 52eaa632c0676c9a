"""Regular expressions in the configuration for the text of requests, on RE2, whose time is linear in the text.

Source: https://github.com/google/re2/wiki/Syntax
"""

import re2

_MEMORY = 4 << 20


def compiled_pattern(value: str) -> "re2._Regexp[str]":
    """Compiles a pattern. Raises ValueError where RE2 does not accept it.

    RE2 has no look-around and no back-references, and its classes (`\\w`) and `\\b` are those of ASCII.
    """
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    try:
        return re2.compile(value, options)
    except (re2.error, UnicodeEncodeError) as error:
        fault = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else "bad characters"
        raise ValueError(f"RE2 does not accept the regular expression '{value[:100]}': {fault[:100]}") from error


def whole(text: str) -> str:
    """Returns `text` with U+FFFD for each half of a surrogate pair, which is no character and cannot be matched."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
