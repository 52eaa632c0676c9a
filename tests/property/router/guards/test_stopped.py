"""A stream that a guard ends: what came before goes out, however its events were read."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from patchbay.guards.config import GuardsConfig
from patchbay.guards.formats.codec import StreamStopped
from patchbay.guards.formats.sse import DONE, split, written
from patchbay.guards.pipeline import compile_guards
from tests.property.router.guards.test_catalog_leaks import CHANNELS, guarded, said

GUARDS = compile_guards(
    GuardsConfig.model_validate(
        {"guards": {"own": {"kind": "rules", "words": ["forbidden"], "action": "block"}}, "guard_all": ["own"]}
    ),
    [()],
    None,
    None,
)


def out(channel: str, pieces: Sequence[str], reads: Sequence[int]) -> bytes:
    endpoint, wire = CHANNELS[channel]
    events = [written(wire(piece)) for piece in pieces]
    codec, got = guarded(GUARDS, endpoint).codec(lambda: (0, 0)), b""
    try:
        for start, end in pairwise(sorted({0, len(events), *(min(len(events), read) for read in reads)})):
            got += codec.feed(b"".join(events[start:end]))
        got += codec.finish()
    except StreamStopped as stop:
        got += stop.last
    return got


@given(
    channel=st.sampled_from(["content", "completions"]),
    before=st.lists(st.sampled_from(["one ", "two ", "for", "bid"]), max_size=6),
    after=st.lists(st.just("more "), max_size=3),
    reads=st.lists(st.integers(0, 9), max_size=4),
)
def test_what_came_before_a_block_goes_out_however_many_events_were_read_at_once(
    channel: str, before: list[str], after: list[str], reads: list[int]
) -> None:
    pieces = [*before, " forbidden ", *after]
    each = out(channel, pieces, range(len(pieces)))
    at_once = out(channel, pieces, reads)
    assert at_once == each
    text = "".join(said(data) for _, data in split(at_once) if data is not None)
    assert (text.count("one "), text.count("two ")) == (before.count("one "), before.count("two "))
    assert "more" not in at_once.decode()
    assert at_once.endswith(DONE)
