"""Coins that are named in another script than the Latin one."""

import pytest

from livebot.core.inputs import OrderAccepted
from livebot.errors import BadInput
from tests.adapters.ccxt_venue.desk import STILL, binance_seat, order, seat, stop

COIN = "币安人生/USDT:USDT"


async def test_binance_can_be_asked_for_one(tmp_path):
    async with binance_seat(tmp_path, {COIN: STILL}) as s:
        assert isinstance(await s.submit(order(symbol=COIN)), OrderAccepted)
        assert isinstance(await s.submit(stop(symbol=COIN)), OrderAccepted)
        assert (await s.exchange.fetch_order(COIN, order(symbol=COIN).client_order_id)).filled
        assert [each.symbol for each in await s.exchange.fetch_open_orders({COIN})] == [COIN]
        assert [each.symbol for each in await s.exchange.fetch_positions()] == [COIN]
        await s.until(lambda: s.events)


async def test_bybit_cannot_and_that_is_said_before_anything_is_asked(tmp_path):
    with pytest.raises(BadInput, match="币安人生/USDT:USDT has letters in its name with which ccxt cannot ask bybit"):
        async with seat(tmp_path, {COIN: STILL}):
            pass
