"""The sockets under a ccxt client: one aiohttp session for each, on the world or on a local exchange.

Rules of this file: venue URLs are never changed, ccxt chooses its error tables by them; a local exchange is reached by
resolving every host to loopback and trusting its own authority.  ccxt does not close a session that it was given.
"""

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import certifi
from aiohttp.abc import AbstractResolver, ResolveResult

from livebot.errors import BadInput

HOST = "127.0.0.1"
# A connection that is not used for so long is let go.  An order should not have to wait for a new one, so this is longer
# than the pause between two questions of the private streams' probe, and shorter than venues keep it (a minute).
KEEP_OPEN_S = 45.0


@dataclass(frozen=True, slots=True)
class Loopback:
    """A local exchange: its port on this machine, and the file with the authority that signed its certificate."""

    port: int
    ca_file: Path


class LoopbackResolver(AbstractResolver):
    """Every host is this machine, every port the local exchange's."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """One address, whatever was asked for."""
        return [ResolveResult(hostname=host, host=HOST, port=self._port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing is held."""


def open_session(loopback: Loopback | None) -> aiohttp.ClientSession:
    """A session that the caller has to close.  Raises BadInput if the loopback's authority cannot be read."""
    context = ssl.create_default_context(cafile=certifi.where()) if loopback is None else _trusting(loopback.ca_file)
    resolver = None if loopback is None else LoopbackResolver(loopback.port)
    # No proxy from the environment: an order must go where the configuration says.
    connector = aiohttp.TCPConnector(ssl=context, resolver=resolver, keepalive_timeout=KEEP_OPEN_S)
    return aiohttp.ClientSession(connector=connector, trust_env=False)


def _trusting(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except OSError as error:  # ssl.SSLError is one of them
        text = (
            f"exchange.loopback.ca_file {ca_file} cannot be used: {error}; start the local exchange, it writes the file"
        )
        raise BadInput(text) from error
