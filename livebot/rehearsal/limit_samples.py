"""How much of each limit is used while a rehearsal goes on, as the daemon itself says, several times a second.

Rules of this file: it only asks; while nobody answers there is a gap; what the gate holds is judged (counts exactly, ratios
of equity against the highest equity so far, for a loss makes a ratio grow with nothing being opened), losses and what is told
of single orders are only drawn.
"""

import asyncio
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from livebot.core.order import ZERO
from livebot.errors import LivebotError
from livebot.ops.control.client import ControlClient
from livebot.reporting.limits_page import Used, UseSample

SAMPLE_EVERY_S = 0.25
ANSWER_S = 5.0
SAMPLES_MAX = 100_000  # seven hours
_COUNTS = frozenset(
    {
        "open_signals",
        "open_signals_per_strategy",
        "open_signals_per_cluster",
        "orders_per_second",
        "orders_per_minute",
        "orders_per_day",
    }
)
_OF_EQUITY = frozenset({"gross_exposure", "symbol_exposure", "base_exposure", "risk_in_all"})
_SINGLE = frozenset({"order_notional", "price_collar", "stale_data_seconds", "minimum_confidence", "risk_per_trade"})
_PRICES_MOVED = Decimal("1.01")  # an order is approved at the price before it trades


class LimitSamples:
    """Of one rehearsal, over all lives of its daemon."""

    def __init__(self, socket: Path) -> None:
        """Nothing is asked before `run`."""
        self._client = ControlClient(socket, answer_seconds=ANSWER_S)
        self._peak_equity = ZERO
        self.samples: list[UseSample] = []
        self.above: dict[str, None] = {}  # sentences, each once

    @property
    def answered(self) -> int:
        """How often somebody answered."""
        return sum(sample.uses is not None for sample in self.samples)

    async def run(self) -> None:
        """Ask until cancelled, or until there are too many."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while len(self.samples) < SAMPLES_MAX:
            try:
                status = await asyncio.to_thread(self._client.status)
            except LivebotError:
                self.samples.append(UseSample(loop.time() - began_s, None))
            else:
                self.take(loop.time() - began_s, status)
            await asyncio.sleep(SAMPLE_EVERY_S)

    def take(self, at_s: float, status: Mapping[str, Any]) -> None:
        """One answer of the daemon."""
        equity = Decimal(status["equity"])
        self._peak_equity = max(self._peak_equity, equity)
        uses = {
            str(limit["name"]): Used(Decimal(limit["used"]), Decimal(limit["allowed"]))
            for limit in status["limits"]
            if limit["allowed"] is not None and Decimal(limit["allowed"]) > 0 and limit["name"] not in _SINGLE
            # right after a start nobody knows yet what the account is worth, and so no ratio of it
            if limit["name"] in _COUNTS or equity > 0
        }
        self.samples.append(UseSample(at_s, uses))
        self.above |= dict.fromkeys(self._exceeded(uses, equity))

    def _exceeded(self, uses: Mapping[str, Used], equity: Decimal) -> Iterator[str]:
        for name, use in uses.items():
            if name in _COUNTS and use.used > use.allowed:
                yield f"{name}: the daemon says {use.used} are used, {use.allowed} are allowed"
            if name in _OF_EQUITY and use.used * equity > use.allowed * self._peak_equity * _PRICES_MOVED:
                yield f"{name}: the daemon says {use.used:.4f} of {equity:.2f} is used, {use.allowed} is allowed"
