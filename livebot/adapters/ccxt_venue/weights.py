"""The request weight that a venue allows an address each minute, and who may use how much of it.

Rules of this file: a share of each minute stays free for what protects; questions are spread over the minute, so that
they never stop for the rest of it; what the venue itself says it has counted is right, since others may use the address
too (this daemon before it was restarted is one of them); a weight of nothing waits for nothing.
"""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from livebot.adapters.ccxt_venue.urgency import PRESENT, Urgency

_MINUTE_S = 60.0
_LATE_S = 0.25  # by which a new minute may begin later there than here
_AT_ONCE = 0.4  # of what questions may use in a minute: at its very beginning
_FEEDS = 0.75  # of what questions may use: candles and all that nobody's orders wait for
_START_S = 20.0  # what is asked of orders and positions in so many seconds after the start is asked to protect them,
_START_SHARE = 0.5  # as far as it uses no more than so much of what is kept
_OLD_NEWS_S = 5.0  # for so long answers to what was asked in the minute before may come
_WAITS_S = 1.0  # at most, then it is looked again
_TOLD = "x-mbx-used-weight-1m"

# In which minute the present task's last request went out.
_ASKED_IN: ContextVar[int | None] = ContextVar("asked_in", default=None)

# Binance's documentation, "limits": by the minute and address, contracts and spot apart.
_WEIGHTS: Mapping[tuple[str, str], int] = {("binance", "perpetual"): 2_400, ("binance", "spot"): 6_000}
_SPOT_UNIT = 5.0  # ccxt writes 0.2 for a weight of 1 there
_ORDER_PATHS = ("order", "algoOrder")
_OWN_WEIGHTS = {"account": 5, "positionRisk": 5, "balance": 5}  # in versions of which ccxt takes each for 1
_VERSIONS = ("fapiPrivateV2", "fapiPrivateV3")


class Weights:
    """One for an address.  `most` in a minute; of it `share` is kept for what protects, and half of that from all else.

    `now_s` is the venue's clock.
    """

    def __init__(self, most: int, share: float, now_s: Callable[[], float] = time.time) -> None:
        self.used = 0.0
        self._most = most
        self._share = share
        self._now_s = now_s
        self._minute = -1
        self._began_s = now_s()
        self._start_left = most * share * _START_SHARE
        self._waiting: list[tuple[Urgency, int, float, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    async def turn(self, weight: float, urgency: Urgency) -> None:
        """Wait until this much may be used."""
        if weight <= 0:
            return
        ahead = any(each[0] <= urgency and not each[3].done() for each in self._waiting)
        if not ahead and self._takes(weight, urgency):
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (urgency, next(self._numbers), weight, mine))
        self._schedule()
        await mine

    @property
    def minute(self) -> int:
        """Which one it is at the venue."""
        self._turn_minute()
        return self._minute

    def told(self, used: int, asked_in: int | None = None) -> None:
        """What the venue has counted in the present minute, or in the one that has just ended: then it is old news.

        So it may be if the question went out in another minute (`asked_in`), or if it is far too much (the clocks differ).
        """
        if asked_in not in (None, self.minute):
            return
        if used > self.used + self._most * _AT_ONCE and self._passed_s < _OLD_NEWS_S:
            return
        self.used = max(self.used, float(used))

    def _takes(self, weight: float, urgency: Urgency) -> bool:
        self._turn_minute()
        after = self.used + weight
        if after > max(self._allowed(urgency), weight):
            if not self._helps_to_start(weight, urgency):
                return False
            self._start_left -= weight
        self.used = after
        return True

    def _helps_to_start(self, weight: float, urgency: Urgency) -> bool:
        """Whether it may use what is kept: nobody knows yet what has to be protected."""
        starts = urgency < Urgency.FEEDS and self._now_s() - self._began_s < _START_S
        return starts and weight <= self._start_left and self.used + weight <= self._most * (1 - self._share / 8)

    def _allowed(self, urgency: Urgency) -> float:
        """How much may be used so far in this minute, all together, for one of this urgency to go out."""
        if urgency is Urgency.PROTECTS:
            return self._most * (1 - self._share / 16)  # what is under way may be counted in another minute
        if urgency < Urgency.ASKS:
            return self._most * (1 - self._share / 2)
        most = self._most * (1 - self._share) * min(_AT_ONCE + self._passed_s / _MINUTE_S, 1.0)
        return most if urgency < Urgency.FEEDS else most * _FEEDS

    @property
    def _passed_s(self) -> float:
        """Of the present minute."""
        return (self._now_s() - _LATE_S) % _MINUTE_S

    def _turn_minute(self) -> None:
        minute = int((self._now_s() - _LATE_S) // _MINUTE_S)
        if minute != self._minute:
            self._minute, self.used = minute, 0.0

    def _schedule(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._wait_s(), self._release)

    def _wait_s(self) -> float:
        """Until the questions' allowance has grown by what waits, or the next minute begins."""
        weight = self._waiting[0][2]
        grows_s = weight / (self._most * (1 - self._share)) * _MINUTE_S
        return max(min(grows_s, _MINUTE_S - self._passed_s, _WAITS_S), 0.01)

    def _release(self) -> None:
        self._timer = None
        while self._waiting:
            urgency, _, weight, first = self._waiting[0]
            if not first.done():  # else whoever waited was cancelled
                if not self._takes(weight, urgency):
                    self._schedule()
                    return
                first.set_result(None)
            heapq.heappop(self._waiting)


def weights_of(family: str, market: str, share: float, now_s: Callable[[], float]) -> Weights | None:
    """None where ccxt's own account of it will do."""
    most = _WEIGHTS.get((family, market))
    return None if most is None else Weights(most, share, now_s)


def count_weights(client: Any, weights: Weights) -> None:  # noqa: ANN401 - ccxt ships no types
    """Let this client's requests wait here instead of in ccxt's limiter.

    To place or change an order of contracts weighs nothing.
    """
    as_ccxt_has_it, heard = client.calculate_rate_limiter_cost, client.on_rest_response

    def weigh(api: object, method: str, path: str, *rest: object) -> Any:  # noqa: ANN401 - ccxt's weight
        section = str(api[0] if isinstance(api, list | tuple) and api else api)
        contracts = section.startswith("fapi")
        if contracts and path in _ORDER_PATHS and method in ("POST", "PUT"):
            return 0.0
        if section in _VERSIONS and path in _OWN_WEIGHTS:
            return _OWN_WEIGHTS[path]
        cost = as_ccxt_has_it(api, method, path, *rest)
        return cost if contracts else cost * _SPOT_UNIT

    async def throttle(cost: float | None = None) -> None:
        await weights.turn(1.0 if cost is None else float(cost), PRESENT.get())
        _ASKED_IN.set(weights.minute)

    def hear(code: int, reason: str, url: str, method: str, headers: Mapping[str, str], *rest: object) -> Any:  # noqa: ANN401
        told = next((value for name, value in headers.items() if name.lower() == _TOLD), "")
        if told.isdigit():
            weights.told(int(told), _ASKED_IN.get())
        return heard(code, reason, url, method, headers, *rest)

    client.calculate_rate_limiter_cost = weigh
    client.throttle = throttle
    client.on_rest_response = hear
