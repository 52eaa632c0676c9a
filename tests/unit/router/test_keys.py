import pytest

from adapters.errors import Unauthorized
from router.keys import KeyRing

RING = KeyRing(["sk-one", "sk-two"])


@pytest.mark.parametrize("name", [b"Bearer sk-one", b"bearer sk-two", b"Bearer  sk-one "])
def test_any_of_the_keys_opens(name: bytes) -> None:
    RING.check([(b"authorization", name)])


def test_anthropics_header_opens_too() -> None:
    RING.check([(b"x-api-key", b"sk-two")])


@pytest.mark.parametrize("value", [b"Bearer sk-three", b"Bearer sk-on", b"Bearer ", b"Basic sk-one", b"sk-one", b""])
def test_anything_else_is_refused(value: bytes) -> None:
    with pytest.raises(Unauthorized):
        RING.check([(b"authorization", value)])


def test_no_header_is_refused_with_a_hint() -> None:
    with pytest.raises(Unauthorized, match="Authorization: Bearer"):
        RING.check([])


def test_an_empty_ring_is_an_open_door() -> None:
    KeyRing([]).check([])
