"""The parts of `patchbay doctor` that need no router."""

import socket

import pytest

from patchbay.launch.doctor_checks import is_open


@pytest.mark.parametrize(
    ("family", "bound", "asked"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET6, "::1", "::1"),
        (socket.AF_INET6, "::1", "[::1]"),
        (socket.AF_INET6, "::1", "localhost"),
    ],
)
def test_a_port_is_seen_to_be_taken_at_an_address_of_either_family(
    family: socket.AddressFamily, bound: str, asked: str
) -> None:
    try:
        listener = socket.create_server((bound, 0), family=family)
    except OSError:
        pytest.skip(f"there is no {bound} here")
    with listener:
        port = listener.getsockname()[1]
        if asked == "localhost" and all(one[4][0] != bound for one in socket.getaddrinfo(asked, port)):
            pytest.skip("localhost has no such address here")
        assert is_open(asked, port)
    assert not is_open(asked, port)
