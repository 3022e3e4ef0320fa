"""A listening socket at an address of this machine.

Rules of this file: a port that closed a moment ago is no obstacle; one that somebody else has is an error.
"""

import socket
from ipaddress import ip_address


def bound_to(address: str, port: int) -> socket.socket:
    """A TCP socket bound there, not listening yet; port 0: any that is free.  Raises OSError."""
    family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET  # noqa: PLR2004 - the protocol's
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
    except OSError:
        made.close()
        raise
    made.setblocking(False)
    return made
