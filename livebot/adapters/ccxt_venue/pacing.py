"""How fast a venue takes orders, where ccxt's own account of it is not the venue's.

Rules of this file: what protects or takes back goes before what opens; a burst goes out at once as far as the venue takes
it, and the rest as the window moves on; what is not in the table keeps ccxt's pace.
"""

import asyncio
from collections import deque
from typing import Any

# Bybit counts each path by the second: ten new orders, ten changes, ten cancellations for contracts, and fifty questions.
# ccxt has twice that, in a bucket that spaces a burst.  Here all orders share one window, a little longer than the second,
# for the way there is not always equally long; ccxt's own window is left with the questions.
# Binance counts new orders by ten seconds (spot 100, contracts 300) and all else by weight and minute.  In ccxt's window of a
# minute a stop would wait behind questions until the minute is over, so orders do not stand in it there either.
_WINDOW_S = 1.1
_ORDERS = {"bybit": 10, "binance": 9}
_QUESTIONS = 50
_ORDER_PATHS = ("v5/order/create", "v5/order/amend", "v5/order/cancel", "v5/position/trading-stop")
_BINANCE_ORDERS = ("order", "algoOrder")


class Pace:
    """At most `most` turns in any `window_s`; None: as many as are asked for."""

    def __init__(self, most: int | None, window_s: float = _WINDOW_S) -> None:
        self._most = most
        self._window_s = window_s
        self._taken: deque[float] = deque()
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._others: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def turn(self, *, urgent: bool) -> None:
        """Wait for one; urgent ones first, else in order."""
        if self._most is None:
            return
        if not self._urgent and not self._others and self._free():
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._urgent if urgent else self._others).append(mine)
        self._schedule()
        await mine

    def _free(self) -> bool:
        """Take a turn if there is one."""
        now = asyncio.get_running_loop().time()
        while self._taken and self._taken[0] <= now - self._window_s:
            self._taken.popleft()
        if self._most is not None and len(self._taken) >= self._most:
            return False
        self._taken.append(now)
        return True

    def _schedule(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._taken[0] + self._window_s, self._release)

    def _release(self) -> None:
        self._timer = None
        while waiting := self._urgent or self._others:
            if not waiting[0].done():  # else whoever waited was cancelled
                if not self._free():
                    self._schedule()
                    return
                waiting[0].set_result(None)
            waiting.popleft()


def pace_of(family: str) -> Pace:
    """For the orders of one account."""
    return Pace(_ORDERS.get(family))


def pace_config(family: str, *, orders: bool) -> dict[str, Any]:
    """What a client of orders, or of data, is made with."""
    if family == "binance":  # weights by the minute, as ccxt has them, half of them for each client
        return {"rateLimiterAlgorithm": "rollingWindow", "rollingWindowSize": 60_000.0}
    if family not in _ORDERS or not orders:
        return {}
    window_ms = _WINDOW_S * 1000
    return {
        "rateLimiterAlgorithm": "rollingWindow",
        "rollingWindowSize": window_ms,
        "rateLimit": window_ms / _QUESTIONS,
    }


def leave_orders_to_pace(client: Any, family: str) -> None:  # noqa: ANN401 - ccxt ships no types
    """Let ccxt count questions only; an order does not stand in its queue behind them either."""
    if family not in _ORDERS:
        return
    throttle, as_ccxt_has_it = client.throttle, client.calculate_rate_limiter_cost

    def weigh(api: object, method: str, path: str, *rest: object) -> Any:  # noqa: ANN401 - ccxt's weight
        if path in _ORDER_PATHS or (path in _BINANCE_ORDERS and method != "GET"):
            return 0.0
        return as_ccxt_has_it(api, method, path, *rest) if family == "binance" else 1.0

    async def throttle_questions(cost: float | None = None) -> None:
        if cost != 0.0:
            await throttle(cost)

    client.calculate_rate_limiter_cost = weigh
    client.throttle = throttle_questions
