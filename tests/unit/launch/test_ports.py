import socket

import pytest

from patchbay.core.errors import StartError
from patchbay.launch.ports import PortUse, check_ports


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


def test_free_ports_are_free_afterwards() -> None:
    uses = [PortUse("127.0.0.1", _free_port(), "a"), PortUse("localhost", _free_port(), "b")]
    check_ports(uses)
    check_ports(uses)


def test_two_uses_of_one_port_are_found() -> None:
    port = _free_port()
    with pytest.raises(StartError, match="Set b to another"):
        check_ports([PortUse("127.0.0.1", port, "a"), PortUse("127.0.0.1", port, "b")])


def test_a_host_that_does_not_exist() -> None:
    with pytest.raises(StartError, match=r"no host 'nowhere\.invalid'"):
        check_ports([PortUse("nowhere.invalid", _free_port(), "a")])


def test_an_address_that_is_not_ours() -> None:
    with pytest.raises(StartError, match=r"Cannot listen on 192\.0\.2\.1"):
        check_ports([PortUse("192.0.2.1", _free_port(), "a")])
