"""Takeover of a port: the older of two routers hands new connections to the newer one before it stops listening.

With SO_REUSEPORT each process has a queue of its own, and the kernel picks one by a hash. Closing a queue resets the
connections in it, so first no more may come: a classic BPF program, which all sockets of the port share, names the
socket that gets them from then on. The sockets are numbered in the order in which they came, so the newer of two has
number 1. Where there is no such socket, the kernel goes by the hash again.

Source: socket(7), SO_ATTACH_REUSEPORT_CBPF; linux/net/core/sock_reuseport.c, `reuseport_select_sock`.
"""

import contextlib
import ctypes
import socket
import struct

_SO_ATTACH_REUSEPORT_CBPF = 51
_BPF_RET = 0x06
_NEWER_SOCKET = 1


def share_port(bound: socket.socket) -> None:
    """Lets other processes of the same user listen on the port that this socket will be bound to."""
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


def hand_over(bound: socket.socket) -> None:
    """Directs new connections to the newer of two sockets on the port.

    Where the kernel cannot do that, connections that come at the very moment of closing are reset.
    """
    code = ctypes.create_string_buffer(struct.pack("HBBI", _BPF_RET, 0, 0, _NEWER_SOCKET))
    program = struct.pack("HL", 1, ctypes.addressof(code))
    with contextlib.suppress(OSError):
        bound.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, program)
