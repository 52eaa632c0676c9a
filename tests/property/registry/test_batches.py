"""Whether a batch that lay in a spool is counted, beside whether its source is still known."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from patchbay.registry.batches import CLOCKS_DIFFER_BY, forgotten_before, is_too_old

NOW = datetime(2026, 6, 1, 12, 30, tzinfo=UTC)
# A router's clock, and its hours, which are rounded down, may be off from the registry's by as much.
OFF = CLOCKS_DIFFER_BY - timedelta(hours=1)


@given(
    age=st.timedeltas(timedelta(), timedelta(days=400)),
    off=st.timedeltas(-OFF, OFF),
    older=st.lists(st.timedeltas(timedelta(), timedelta(days=400)), max_size=3),
)
def test_no_batch_is_counted_whose_source_may_be_forgotten(
    age: timedelta, off: timedelta, older: list[timedelta]
) -> None:
    taken_at = NOW - age
    newest = (taken_at + off).replace(minute=0, second=0, microsecond=0)
    hours = [newest, *(newest - one for one in older)]
    if taken_at < forgotten_before(NOW):
        assert is_too_old(hours, NOW)


def test_a_batch_without_rows_has_no_age() -> None:
    assert not is_too_old([], NOW)
