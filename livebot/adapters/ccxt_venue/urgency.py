"""What goes first when a venue takes less than is to be sent.

Rules of this file: values only; a smaller number goes first.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import IntEnum
from typing import Final


class Urgency(IntEnum):
    """Why a request is sent."""

    PROTECTS = 0  # a stop placed or moved, a target, an exit
    TAKES_BACK = 1
    OPENS = 2
    ASKS = 3  # about one order
    LISTS = 4  # of orders, positions, balances
    FEEDS = 5  # everything else: markets, candles, clocks


# Of the request that the present task is about to make: ccxt has no place for it among its arguments.
PRESENT: Final[ContextVar[Urgency]] = ContextVar("urgency", default=Urgency.FEEDS)


@contextmanager
def asking(urgency: Urgency) -> Iterator[None]:
    """Whatever the present task, and those that it starts, ask for in here is of this urgency."""
    token = PRESENT.set(urgency)
    try:
        yield
    finally:
        PRESENT.reset(token)
