"""Whatever bytes come, the header reader refuses or reads them, and what it reads the reference library reads alike."""

import os
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open

from adapters.admission.safetensors import Tensor, read_tensors
from adapters.errors import AdapterError
from tests.fakes.adapter_folder import SHAPES, safetensors, with_header

GOOD = safetensors(SHAPES)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 50) | st.text(max_size=5) | st.sampled_from(["F32", "F16", "BOOL"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
ENTRIES = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "BF16", "I8", "F8_E4M3", "X"]) | VALUES,
        "shape": st.lists(st.integers(0, 4), max_size=3) | VALUES,
        "data_offsets": st.lists(st.integers(0, 40), min_size=2, max_size=2) | VALUES,
    }
)
HEADERS = st.dictionaries(st.text(max_size=4), ENTRIES | VALUES, max_size=3)
EDITS = st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=4)


def mutated(edits: list[tuple[int, int]]) -> bytes:
    content = bytearray(GOOD)
    for place, value in edits:
        content[place] = value
    return bytes(content)


FILES = (
    st.binary(max_size=200)
    | st.builds(with_header, HEADERS, st.binary(max_size=48))
    | EDITS.map(mutated)
    | st.integers(0, len(GOOD)).map(lambda length: GOOD[:length])
)


def read(content: bytes, path: Path) -> dict[str, Tensor] | None:
    path.write_bytes(content)
    try:
        return read_tensors(path)
    except AdapterError:
        return None


def check(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.safetensors"
        tensors = read(content, path)
        if tensors is None:
            return
        with safe_open(path, "np") as reference:
            assert set(reference.keys()) == set(tensors)
            for name, tensor in tensors.items():
                found = reference.get_slice(name)
                assert (found.get_dtype(), tuple(found.get_shape())) == (tensor.dtype, tensor.shape)


@given(content=FILES)
@settings(max_examples=400, deadline=None)
def test_what_the_reader_takes_the_reference_library_takes_alike(content: bytes) -> None:
    check(content)


def test_the_reference_library_takes_the_good_file_and_so_does_the_reader() -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert set(read(GOOD, Path(folder) / "x") or {}) == set(SHAPES)


@pytest.mark.skipif("PATCHBAY_FUZZ_SECONDS" not in os.environ, reason="run by make fuzz")
@pytest.mark.timeout(0)
def test_for_as_long_as_asked_nothing_crashes_or_hangs() -> None:
    until = time.monotonic() + float(os.environ["PATCHBAY_FUZZ_SECONDS"])

    @given(content=FILES)
    @settings(max_examples=2000, deadline=2000, database=None)
    def fuzz(content: bytes) -> None:
        if time.monotonic() < until:
            check(content)

    while time.monotonic() < until:
        try:
            fuzz()
        except SafetensorError as error:
            raise AssertionError("the reference library refuses what the reader takes") from error
