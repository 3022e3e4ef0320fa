"""How long is waited for what another thread does before it is given up.

Rules of this file: what is there when the time is over has been taken before anybody is given up: after a stall of the loop
timers ring before what other threads have done long since is handed over.
"""

import asyncio
from collections.abc import Callable

TURNS = 3  # of the loop, until an answer that is there has been taken


class Patience:
    """With one thing that is out, after which the next may follow."""

    def __init__(self) -> None:
        """Nothing is out."""
        self._handle: asyncio.Handle | None = None

    def begin(self, wait_s: float, give_up: Callable[[], None]) -> None:
        """Something went out; `give_up` is called, on the loop, unless it comes to an `end` within `wait_s`."""
        self._handle = asyncio.get_running_loop().call_later(wait_s, self._ring, give_up, TURNS)

    def end(self) -> None:
        """It has come back."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _ring(self, give_up: Callable[[], None], turns: int) -> None:
        if turns:
            self._handle = asyncio.get_running_loop().call_soon(self._ring, give_up, turns - 1)
            return
        self._handle = None
        give_up()
