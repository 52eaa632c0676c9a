from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from patchbay.router.forward.stream_ends import split_events

streams = st.lists(st.sampled_from([b"data: x\n\n", b"data: y\r\n\r\n", b": ping\n\n", b"data: a\ndata: b\n\n", b"z"]))


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(edges)]


@given(streams, st.lists(st.integers(0, 500)))
def test_however_a_stream_is_cut_its_bytes_stay_the_same_and_go_out_in_whole_events(
    events: list[bytes], places: list[int]
) -> None:
    stream = b"".join(events)
    out, held = b"", b""
    for part in cut(stream, places):
        ready, held = split_events(held + part)
        out += ready
        assert not out or out.endswith((b"\n\n", b"\r\n\r\n"))
        assert b"\n\n" not in held
    assert out + held == stream


@given(st.binary(max_size=300))
def test_nothing_is_lost_or_made_up(data: bytes) -> None:
    ready, held = split_events(data)
    assert ready + held == data
