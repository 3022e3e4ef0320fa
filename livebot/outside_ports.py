"""Protocol of what an exchange can tell of trades that are not ours.

Rules of this file: those of `ports`.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from livebot.core.order import Fill


@dataclass(frozen=True, slots=True)
class OutsideTrade:
    """A trade of the account that no order of ours made; `by_stop`: the stop did that had travelled with an entry."""

    fill: Fill
    by_stop: bool


@runtime_checkable
class OutsideTrades(Protocol):
    """An Exchange that tells trades which nobody of ours made, so that what was closed there is booked at what it brought."""

    async def fetch_outside_trades(self, symbol: str, since_ms: int) -> tuple[OutsideTrade, ...]:
        """Those of the last days at most, oldest first.  Raises Transient."""
        ...
