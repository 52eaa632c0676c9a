"""Compressed bodies: what is read, and that no body costs more than an uncompressed one of the largest size."""

import gzip
import random
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from patchbay.core.errors import InvalidRequest, UnsupportedEncoding
from patchbay.router.http.content_encoding import packing, unpacked

SLICE = 256 * 1024


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACKERS = {
    b"gzip": gzip.compress,
    b"x-gzip": gzip.compress,
    b"deflate": zlib.compress,
    b"br": brotli.compress,
    b"zstd": zstandard.ZstdCompressor().compress,
}
names = pytest.mark.parametrize("name", list(PACKERS), ids=lambda name: name.decode())


@names
@given(data=st.binary(max_size=2000))
def test_what_was_packed_comes_out_as_it_was(name: bytes, data: bytes) -> None:
    assert b"".join(unpacked(name, PACKERS[name](data))) == data


@names
def test_a_long_body_comes_in_slices_that_hold_nothing_up(name: bytes) -> None:
    data = random.Random(1).randbytes(100_000) * 12  # noqa: S311 - no secret
    parts = list(unpacked(name, PACKERS[name](data)))
    assert b"".join(parts) == data
    assert max(map(len, parts)) <= 2 * SLICE


def test_deflate_is_read_with_and_without_the_header_that_some_clients_leave_out() -> None:
    assert b"".join(unpacked(b"deflate", raw_deflate(b"{}" * 50))) == b"{}" * 50


def test_gzip_and_zstd_of_several_parts_are_read_to_the_end() -> None:
    assert b"".join(unpacked(b"gzip", gzip.compress(b"a") + gzip.compress(b"b"))) == b"ab"
    pack = zstandard.ZstdCompressor().compress
    assert b"".join(unpacked(b"zstd", pack(b"a") + pack(b"b"))) == b"ab"


@names
@given(data=st.binary(min_size=200, max_size=3000), cut=st.integers(1, 100))
def test_a_body_that_ends_early_is_refused_and_never_half_a_request(name: bytes, data: bytes, cut: int) -> None:
    packed = PACKERS[name](data)
    with pytest.raises(InvalidRequest):
        b"".join(unpacked(name, packed[: -min(cut, len(packed) - 1)]))


@names
@given(st.binary(min_size=1, max_size=500))
def test_noise_is_refused_or_read_and_nothing_else_comes_of_it(name: bytes, noise: bytes) -> None:
    try:
        b"".join(unpacked(name, noise))
    except InvalidRequest:
        return


@names
def test_a_bomb_is_refused_before_it_is_made(name: bytes) -> None:
    packed = PACKERS[name](b"\0" * 50_000_000)
    parts: list[bytes] = []
    with pytest.raises(InvalidRequest, match="times its size"):
        parts.extend(unpacked(name, packed))
    assert sum(map(len, parts)) <= max(1024 * 1024, 200 * len(packed))


def test_a_body_of_nothing_but_empty_parts_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        list(unpacked(b"gzip", gzip.compress(b"") * 10_000))


def test_zstd_that_asks_for_gigabytes_to_look_back_at_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    packed = zstandard.ZstdCompressor(compression_params=parameters).compressobj().compress(b"x" * 20_000_000)
    with pytest.raises(InvalidRequest):
        list(unpacked(b"zstd", packed))


@pytest.mark.parametrize("value", [b"lzma", b"gzip, br", b"", b"\xff"])
def test_an_encoding_that_is_not_read_is_refused_with_those_that_are(value: bytes) -> None:
    if not value:
        assert packing([(b"content-encoding", value)]) is None
        return
    with pytest.raises(UnsupportedEncoding) as caught:
        packing([(b"content-encoding", value)])
    assert caught.value.headers() == {"accept-encoding": "gzip, deflate, br, zstd"}


@pytest.mark.parametrize("value", [b"GZIP", b" gzip "])
def test_a_name_is_read_in_any_letters(value: bytes) -> None:
    assert packing([(b"content-encoding", value)]) == b"gzip"
    assert packing([(b"content-encoding", b"identity")]) is None
    assert packing([]) is None
