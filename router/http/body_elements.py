"""Limit on the number of elements in a JSON body.

The time to decode and to walk a document grows with its elements, not with its bytes: ten megabytes of `[],[],…` are
three and a half million lists. An element is a comma, a colon or an opening bracket outside strings: about one for each
value, and another for each key, list and object. They are counted before anything is decoded, a slice at a time.
"""

from patchbay.core.errors import TooManyElements

_ELEMENT_MARKS = (b",", b":", b"[", b"{")
_SLICE = 256 * 1024


def check_elements(body: bytes, most: int) -> None:
    """Raises TooManyElements where `body` has more than `most` elements. `body` may be no JSON at all."""
    # Counting the marks inside strings too is fast and errs on the safe side. It settles nearly all bodies.
    if len(body) <= most or sum(map(body.count, _ELEMENT_MARKS)) <= most:
        return
    count, inside, at = 0, False, 0
    while at < len(body):
        end = _end_of_slice(body, at)
        outside, inside = _outside_strings(body[at:end], inside=inside)
        count += sum(map(outside.count, _ELEMENT_MARKS))
        if count > most:
            raise TooManyElements(most)
        at = end


def _end_of_slice(body: bytes, at: int) -> int:
    """Returns the end of the slice that begins at `at`. It never falls between a backslash and what it escapes."""
    end = at + _SLICE
    while body[end - 1 : end] == b"\\":
        end += 1
    return end


def _outside_strings(part: bytes, *, inside: bool) -> tuple[bytes, bool]:
    """Returns the bytes of `part` outside strings, and whether its end is inside one.

    `inside`: whether the beginning of `part` is inside a string.
    """
    if b"\\" in part:
        part = part.replace(b"\\\\", b"").replace(b'\\"', b"")
    pieces = part.split(b'"')
    return b"".join(pieces[int(inside) :: 2]), inside == (len(pieces) % 2 == 1)
