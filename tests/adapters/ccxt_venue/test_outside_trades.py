"""What closed a position of ours at the venue, though no order of ours did: by its own trades."""

import pytest

from livebot.core.market import OrderSide
from livebot.core.order import Leg
from livebot.outside_ports import OutsideTrades
from tests.adapters.ccxt_venue.desk import BTC, D, Seat, binance_seat, order, replace, seat, stop

FALLING = [(100.0, 100.0, 100.0, 100.0)] * 2 + [(100.0, 100.0, 80.0, 85.0)] * 20


class MarketTime:
    """The venue's own."""

    def __init__(self, s: Seat) -> None:
        self._venue = s.desk.venue

    def now_ms(self) -> int:
        return self._venue.minute_ms


async def test_a_stop_that_travelled_with_the_entry_is_told_as_a_stop(tmp_path):
    async with seat(tmp_path, FALLING) as s:
        s.exchange._clock = MarketTime(s)
        await s.submit(replace(order(), attached_stop=D("90")))
        await s.desk.step(4)
        await s.until(lambda: s.said("events"))
        assert isinstance(s.exchange, OutsideTrades)
        (trade,) = await s.exchange.fetch_outside_trades(BTC, 0)
        assert (trade.by_stop, trade.fill.side, trade.fill.quantity) == (True, OrderSide.SELL, D("0.2"))
        assert trade.fill.price <= 90
        assert trade.fill.fee > 0


@pytest.mark.parametrize("opened", [seat, binance_seat])
async def test_what_somebody_closes_by_hand_is_told_and_our_own_orders_are_not(tmp_path, opened):
    async with opened(tmp_path) as s:
        s.exchange._clock = MarketTime(s)
        await s.submit(order(quantity="0.3"))
        await s.submit(order(Leg.EXIT, OrderSide.SELL, "0.1"))
        await s.submit(stop("90"))
        s.arm("close_position")
        await s.until(lambda: s.said("events"))
        (trade,) = await s.exchange.fetch_outside_trades(BTC, 0)
        assert (trade.by_stop, trade.fill.side, trade.fill.quantity) == (False, OrderSide.SELL, D("0.2"))
        assert trade.fill.fee > 0
        assert trade.fill.client_order_id == ""
