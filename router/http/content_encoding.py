"""Content encodings of requests: a compressed body is unpacked in slices, bounded by its size once it is unpacked.

A few kilobytes may unpack to gigabytes, so no slice is made before the one before it was counted, and each is small
enough not to hold up the event loop. Pure.

Source: RFC 9110, sections 8.4 (codings) and 15.5.16 (how to refuse one).
"""

import zlib
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import brotli
import zstandard

from patchbay.core.asgi import Headers, header
from patchbay.core.errors import InvalidRequest, UnsupportedEncoding

CONTENT_ENCODING = b"content-encoding"
_IDENTITY = b"identity"
# Bytes that are unpacked in one turn of the event loop: a millisecond, or two.
_SLICE = 256 * 1024
# A body may be this many times larger than it came, beyond a size that any body may have. JSON of a long prompt, even
# of one word over and over, is some fifty times larger than its gzip.
_MOST_RATIO = 200
_ANY_RATIO_BYTES = 1024 * 1024
# Each empty one costs work and makes no byte that would count.
_MOST_STREAMS = 100
# The most memory that zstd's decoder may take for what it looks back at; its format allows gigabytes.
_ZSTD_WINDOW = 8 * 1024 * 1024
# Bytes that zstd's decoder is given at a time, since it has no limit for what it returns: a block of four bytes may
# stand for 128 KiB.
_ZSTD_INPUT = 256
_CORRUPT = (zlib.error, brotli.error, zstandard.ZstdError, EOFError)


def _inflated(data: bytes, window: int) -> Iterator[bytes]:
    """Unpacks one stream after the other, as gzip allows. `window`: zlib's `wbits`."""
    for _ in range(_MOST_STREAMS):
        inflater = zlib.decompressobj(window)
        while not inflater.eof:
            part = inflater.decompress(data, _SLICE)
            data = inflater.unconsumed_tail
            if not part and not data and not inflater.eof:
                raise EOFError
            yield part
        data = inflater.unused_data
        if not data:
            return
    raise EOFError


def _gzip(data: bytes) -> Iterator[bytes]:
    return _inflated(data, 16 + zlib.MAX_WBITS)


def _deflate(data: bytes) -> Iterator[bytes]:
    # "deflate" means zlib's format, but some clients send what is within it (RFC 9110, section 8.4.1.2). A zlib header
    # is a multiple of 31.
    wrapped = len(data) > 1 and data[0] & 0x0F == 8 and int.from_bytes(data[:2]) % 31 == 0
    return _inflated(data, zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)


def _brotli(data: bytes) -> Iterator[bytes]:
    # It returns up to twice as much as it is asked for.
    decoder = brotli.Decompressor()
    part = decoder.process(data, output_buffer_limit=_SLICE)
    while not decoder.is_finished():
        if not part:
            raise EOFError
        yield part
        part = decoder.process(b"", output_buffer_limit=_SLICE)
    yield part


def _zstd(data: bytes) -> Iterator[bytes]:
    frames = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    for _ in range(_MOST_STREAMS):
        frame, ready = frames.decompressobj(), bytearray()
        for start in range(0, len(data), _ZSTD_INPUT):
            ready += frame.decompress(data[start : start + _ZSTD_INPUT])
            if frame.eof:
                break
            if len(ready) >= _SLICE // 4:
                yield bytes(ready)
                ready.clear()
        yield bytes(ready)
        if not frame.eof:
            raise EOFError
        data = frame.unused_data + data[start + _ZSTD_INPUT :]
        if not data:
            return
    raise EOFError


_DECODERS: Mapping[bytes, Callable[[bytes], Iterator[bytes]]] = MappingProxyType(
    {b"gzip": _gzip, b"x-gzip": _gzip, b"deflate": _deflate, b"br": _brotli, b"zstd": _zstd}
)
_ACCEPTED = "gzip, deflate, br, zstd"


def packing(headers: Headers) -> bytes | None:
    """Returns the encoding of a request's body, None where it is sent as it is. Raises UnsupportedEncoding."""
    name = (header(headers, CONTENT_ENCODING) or _IDENTITY).strip().lower()
    if name == _IDENTITY:
        return None
    if name not in _DECODERS:
        raise UnsupportedEncoding(name.decode("latin-1")[:100], accepted=_ACCEPTED)
    return name


def unpacked(encoding: bytes, data: bytes) -> Iterator[bytes]:
    """Yields what `data` unpacks to, in slices of 256 KiB at most. `encoding`: as `packing` returned it.

    Raises InvalidRequest where `data` is broken or ends early, and where it unpacks to far more than any text does.
    """
    most, size = max(_ANY_RATIO_BYTES, _MOST_RATIO * len(data)), 0
    try:
        for part in _DECODERS[encoding](data):
            size += len(part)
            if size > most:
                raise InvalidRequest(f"The request's body unpacks to more than {_MOST_RATIO} times its size.")
            yield part
    except _CORRUPT as error:
        name = encoding.decode("latin-1")
        raise InvalidRequest(f"The request's body is not whole and sound '{name}', as its head says.") from error
