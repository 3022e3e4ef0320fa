"""How long requests and orders waited for a venue's rate limit.

Rules of this file: it measures and decides nothing; what lasts less than `LEAST_S` was no wait.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any

LEAST_S = 0.005


class Waits:
    """`count` of them, `seconds` in all."""

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0

    async def during(self, turn: Awaitable[None]) -> None:
        """Wait for one's turn; also one that is given up counts."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            await turn
        finally:
            waited_s = loop.time() - began_s
            if waited_s >= LEAST_S:
                self.count += 1
                self.seconds += waited_s


def count_waits(client: Any, waits: Waits) -> None:  # noqa: ANN401 - ccxt ships no types
    """Have this client's waits for its limiter measured; put in last, around whatever limits it."""
    throttle = client.throttle

    async def measured(cost: float | None = None) -> None:
        await waits.during(throttle(cost))

    client.throttle = measured
