"""The bound on what a JSON body is made of. What it costs to decode and to walk grows with its elements, not with its
bytes: ten megabytes of `[],[],…` are three and a half million lists.

An element is a comma, a colon or an opening bracket outside strings: about one for each value, and another for each
key, list and object. Counted before anything is decoded, a slice at a time.
"""

from patchbay.core.errors import TooManyElements

_MARKS = (b",", b":", b"[", b"{")
_SLICE = 256 * 1024


def check_elements(body: bytes, most: int) -> None:
    """Raises TooManyElements where `body`, which may be no JSON at all, has more than `most`."""
    # A text has commas, too, and most bodies are told from them alone.
    if len(body) <= most or sum(map(body.count, _MARKS)) <= most:
        return
    found, inside, at = 0, False, 0
    while at < len(body):
        end = _end_of_slice(body, at)
        outside, inside = _outside_strings(body[at:end], inside=inside)
        found += sum(map(outside.count, _MARKS))
        if found > most:
            raise TooManyElements(most)
        at = end


def _end_of_slice(body: bytes, at: int) -> int:
    """Where a slice ends that begins at `at`: not between a backslash and what it escapes."""
    end = at + _SLICE
    while body[end - 1 : end] == b"\\":
        end += 1
    return end


def _outside_strings(part: bytes, *, inside: bool) -> tuple[bytes, bool]:
    """What of `part` is in no string, and whether its end is. `inside`: whether its beginning is."""
    if b"\\" in part:
        part = part.replace(b"\\\\", b"").replace(b'\\"', b"")
    pieces = part.split(b'"')
    return b"".join(pieces[int(inside) :: 2]), inside == (len(pieces) % 2 == 1)
