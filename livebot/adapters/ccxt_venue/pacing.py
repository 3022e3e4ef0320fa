"""How fast a venue takes orders, where ccxt's own account of it is not the venue's.

Rules of this file: what protects goes before what takes back, and that before what opens; a burst goes out at once as far
as the venue takes it, and the rest as the window moves on; what is not in the table keeps ccxt's pace.
"""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from livebot.adapters.ccxt_venue.urgency import Urgency
from livebot.adapters.ccxt_venue.venue_traits import PERPETUAL, SPOT
from livebot.adapters.ccxt_venue.waits import Waits


@dataclass(frozen=True, slots=True)
class Window:
    """At most `most` orders in any `seconds`."""

    most: int
    seconds: float


# Bybit counts each path by the second: ten new orders, ten changes, ten cancellations for contracts, and fifty questions.
# ccxt has twice that, in a bucket that spaces a burst.  Here all orders share one window, a little longer than the second,
# for the way there is not always equally long; ccxt's own window is left with the questions.
# Binance counts new and changed orders by ten seconds (contracts 300, spot 100), those of contracts by the minute too (1200);
# a cancellation counts as a question does, by weight (`weights`).  A little is left for what is not equally long under way.
_WINDOW_S = 1.1
_ORDERS: Mapping[tuple[str, str], tuple[Window, ...]] = {
    ("bybit", PERPETUAL): (Window(10, _WINDOW_S),),
    ("bybit", SPOT): (Window(10, _WINDOW_S),),
    ("binance", PERPETUAL): (Window(280, 10.0), Window(1_140, 60.0)),
    ("binance", SPOT): (Window(94, 10.0),),
}
# The part of each window that is left to what protects.  An entry at Bybit brings its stop with it.
_KEPT: Mapping[str, float] = {"binance": 0.25}
_BY_WEIGHT = ("binance",)  # cancellations there take no turn
_QUESTIONS = 50
_ORDER_PATHS = ("v5/order/create", "v5/order/amend", "v5/order/cancel", "v5/position/trading-stop")


class Pace:
    """Turns in all these windows; none: as many as are asked for.  `kept` is the part that nothing which opens takes."""

    def __init__(self, *windows: Window, kept: float = 0.0, cancellations: bool = True) -> None:
        self._windows = tuple((each, deque[float]()) for each in windows)
        self._kept = kept
        self._cancellations = cancellations
        self.waits = Waits()
        self._waiting: list[tuple[Urgency, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    async def turn(self, urgency: Urgency) -> None:
        """Wait for one; the more urgent ones first, else in order."""
        if not self._windows or (urgency is Urgency.TAKES_BACK and not self._cancellations):
            return
        ahead = any(each[0] <= urgency and not each[2].done() for each in self._waiting)
        if not ahead and self._free_in_s(urgency) <= 0:
            self._take()
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (urgency, next(self._numbers), mine))
        self._schedule()
        await self.waits.during(mine)

    def _free_in_s(self, urgency: Urgency) -> float:
        """How long until there is a turn for one of this urgency; 0 if there is one."""
        now, wait_s = asyncio.get_running_loop().time(), 0.0
        for window, taken in self._windows:
            while taken and taken[0] <= now - window.seconds:
                taken.popleft()
            most = window.most if urgency < Urgency.OPENS else max(int(window.most * (1 - self._kept)), 1)
            if len(taken) >= most:
                wait_s = max(wait_s, taken[len(taken) - most] + window.seconds - now)
        return wait_s

    def _take(self) -> None:
        now = asyncio.get_running_loop().time()
        for _, taken in self._windows:
            taken.append(now)

    def _schedule(self) -> None:
        """Look again when the first in line can go."""
        if self._timer is not None:
            self._timer.cancel()
        wait_s = self._free_in_s(self._waiting[0][0])
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._release)

    def _release(self) -> None:
        self._timer = None
        while self._waiting:
            urgency, _, first = self._waiting[0]
            if not first.done():  # else whoever waited was cancelled
                if self._free_in_s(urgency) > 0:
                    self._schedule()
                    return
                self._take()
                first.set_result(None)
            heapq.heappop(self._waiting)


def pace_of(family: str, market: str) -> Pace:
    """For the orders of one account."""
    return Pace(*_ORDERS.get((family, market), ()), kept=_KEPT.get(family, 0.0), cancellations=family not in _BY_WEIGHT)


def pace_config(family: str, *, orders: bool) -> dict[str, Any]:
    """What a client of orders, or of data, is made with."""
    if family != "bybit" or not orders:
        return {}
    window_ms = _WINDOW_S * 1000
    return {
        "rateLimiterAlgorithm": "rollingWindow",
        "rollingWindowSize": window_ms,
        "rateLimit": window_ms / _QUESTIONS,
    }


def leave_orders_to_pace(client: Any, family: str) -> None:  # noqa: ANN401 - ccxt ships no types
    """Let ccxt count questions only; an order does not stand in its queue behind them either."""
    if family != "bybit":
        return
    throttle = client.throttle

    def weigh(_api: object, _method: str, path: str, *_: object) -> float:
        return 0.0 if path in _ORDER_PATHS else 1.0

    async def throttle_questions(cost: float | None = None) -> None:
        if cost != 0.0:
            await throttle(cost)

    client.calculate_rate_limiter_cost = weigh
    client.throttle = throttle_questions
