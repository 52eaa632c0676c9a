"""Names: what a client may call an adapter, and that nothing else gets through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbay.core.errors import AdapterError
from patchbay.core.names import NAME_PATTERN, Reference, check_name, engine_name, parse_reference, revision_name

NAMES = st.from_regex(NAME_PATTERN, fullmatch=True)
DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)


@given(name=NAMES, number=st.integers(1, 999_999_999), digest=DIGESTS)
def test_every_form_of_a_name_is_read_back_as_it_was_written(name: str, number: int, digest: str) -> None:
    assert check_name(name) == name
    assert parse_reference(name) == Reference(name)
    assert parse_reference(revision_name(name, number)) == Reference(name, number)
    assert parse_reference(engine_name(name, number, digest)) == Reference(name, number, digest[:12])


@given(text=st.text(max_size=100))
def test_what_is_read_as_a_name_can_never_lead_out_of_a_folder(text: str) -> None:
    reference = parse_reference(text)
    if reference is not None:
        assert not set(text) & set("/\\\0\n")
        assert not reference.name.startswith(".")


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a@1", ".hidden", "a" * 64, "a b", "a\n", "ä"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(AdapterError, match="is no adapter name"):
        check_name(name)


@pytest.mark.parametrize("text", ["sql@0", "sql@01", "sql@", "@1", "sql@1-", "sql@1-ABCDEF123456", "sql@1-1a2b3c"])
def test_what_is_no_revision_is_not_read_as_one(text: str) -> None:
    assert parse_reference(text) is None
