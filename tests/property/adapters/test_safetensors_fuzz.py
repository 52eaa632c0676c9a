"""Whatever bytes it is given, the reader of safetensors accepts or refuses them, and accepts no more than the library.

PATCHBAY_FUZZ_SECONDS sets for how long the bytes are drawn.
"""

import json
import os
import random
import tempfile
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from patchbay.adapters.checks.safetensors import Tensor, read_header
from patchbay.core.errors import AdapterError
from tests.fakes.adapter_folder import f32, lora, safetensors, with_header

FUZZ_S = float(os.environ.get("PATCHBAY_FUZZ_SECONDS", "3"))
GOOD = [
    safetensors(lora()),
    safetensors({}),
    safetensors({"a": f32(2), "b": ("BOOL", [3, 1], bytes(3)), "c": ("U8", [0], b""), "d": ("I64", [], bytes(8))}),
    with_header(b'{"__metadata__":{"format":"pt"},"x":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}  ', bytes(4)),
]
# Bytes that mean something to the format, so that a mutation gets past its first check more often.
TOKENS = [b'"', b"{", b"}", b"[", b"]", b",", b"-0", b"0", b"1e0", b"4", b"18446744073709551616", b"null", b"\\ud800"]
TOKENS += [b'"F32"', b'"F4"', b'"F64"', b'"__metadata__":{},', b'"a":', b"NaN", b"\xff", b"\0", b" ", b"\xef\xbb\xbf"]

numbers = st.integers(-1, 9) | st.sampled_from([2**31, 2**62, 2**63, 2**64, 1.0, True, None, "4"])
wild_entries = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "F4", "U8", "BOOL", "F8_E8M0", "F64", "C64", "", None]),
        "shape": st.lists(numbers, max_size=3),
        "data_offsets": st.lists(numbers, max_size=3),
    },
    optional={"more": st.none()},
)
wild_headers = st.dictionaries(st.text(max_size=3) | st.just("__metadata__"), wild_entries | st.none(), max_size=3)


def read(content: bytes) -> dict[str, Tensor] | None:
    """The tensors, which the library must then see in the same way; None where they are refused."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.safetensors"
        path.write_bytes(content)
        try:
            found = read_header(path)
        except AdapterError:
            return None
        with safe_open(path, "np") as library:
            assert set(library.keys()) == set(found)
            for name, tensor in found.items():
                theirs = library.get_slice(name)
                assert (theirs.get_dtype(), tuple(theirs.get_shape())) == (tensor.dtype, tensor.shape)
    return found


def mutated(content: bytes, draw: random.Random) -> bytes:
    """`content` after a few edits; the header's length is often put right again."""
    body = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(body) + 1)
        piece = draw.choice([draw.choice(TOKENS), draw.randbytes(draw.randint(1, 3)), b""])
        body[at : at + draw.choice([0, 1, len(piece), draw.randint(0, 9)])] = piece
    if draw.random() < 0.7 and len(body) > 8:
        end = bytes(body).rfind(b"}") + 1
        body[:8] = max(0, end - 8).to_bytes(8, "little")
    return bytes(body)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_accepted_or_refused(content: bytes) -> None:
    read(content)


@given(wild_headers, st.binary(max_size=16))
def test_what_is_accepted_of_an_arbitrary_header_the_library_sees_in_the_same_way(
    header: dict[str, object], data: bytes
) -> None:
    read(with_header(json.dumps(header).encode(), data))


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(GOOD), st.randoms(use_true_random=False))
def test_what_is_accepted_of_a_mutated_file_the_library_sees_in_the_same_way(
    content: bytes, draw: random.Random
) -> None:
    read(mutated(content, draw))


@pytest.mark.parametrize("content", GOOD, ids=range(len(GOOD)))
def test_good_files_are_accepted(content: bytes) -> None:
    assert read(content) is not None


@pytest.mark.timeout(FUZZ_S + 120)
def test_no_mutation_gets_through_in_the_time_given() -> None:
    draw = random.Random(time.time_ns())  # noqa: S311 - to vary the bytes, not to hide them
    until, tried = time.monotonic() + FUZZ_S, 0
    while time.monotonic() < until:
        content = mutated(draw.choice(GOOD), draw)
        try:
            read(content)
        except BaseException:
            print(f"the bytes that did it: {content!r}")  # noqa: T201
            raise
        tried += 1
    assert tried > 0


def test_a_huge_header_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.safetensors"
    with path.open("wb") as file:
        file.write((2**36).to_bytes(8, "little") + b"{")
        file.truncate(2**36 + 8)
    tracemalloc.start()
    try:
        with pytest.raises(AdapterError, match="expected at most"):
            read_header(path)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
