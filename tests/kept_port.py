"""A port of 127.0.0.1 that nobody else is given until whoever it is kept for has taken it."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept_port() -> Iterator[int]:
    """Bound here and not listened on: a server, which binds with SO_REUSEADDR, may have it, and no free port is this one."""
    with socket.socket() as keeper:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind(("127.0.0.1", 0))
        number: int = keeper.getsockname()[1]
        yield number
