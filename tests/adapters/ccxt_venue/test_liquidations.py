"""A position that the venue itself has closed: heard of at once, and booked by the venue's own trade."""

import pytest

from livebot.core.market import OrderSide
from tests.adapters.ccxt_venue.desk import BTC, D, binance_seat, order, seat
from tests.adapters.ccxt_venue.test_outside_trades import MarketTime
from tests.adapters.ccxt_venue.test_spot import spot_seat
from tests.simulator.local_desk import SPOT

VENUES = pytest.mark.parametrize("opened", [seat, binance_seat])


@VENUES
async def test_a_liquidation_asks_for_a_comparison_and_is_told_as_the_venue_booked_it(tmp_path, opened):
    async with opened(tmp_path) as s:
        s.exchange._clock = MarketTime(s)
        await s.submit(order(quantity="0.3"))
        s.arm("liquidate")
        await s.until(lambda: s.said("events"))
        notice = s.said("events")[0]
        assert (notice.symbol, notice.reconcile) == (BTC, True)
        (trade,) = await s.exchange.fetch_outside_trades(BTC, 0)
        assert (trade.by_stop, trade.fill.side, trade.fill.quantity) == (False, OrderSide.SELL, D("0.3"))
        assert (trade.fill.price, trade.fill.fee > 0) == (100, True)


def asked_for(s, answers):
    """Which kinds of trades are asked for from now on; `answers` holds rows of the venue by their kind."""
    client, kinds = s.connection.orders, []
    original = client.fetch

    async def fetch(url, method="GET", headers=None, body=None):
        if "execution/list" not in url or "startTime" not in url:
            return await original(url, method, headers, body)
        kind = next(part.removeprefix("execType=") for part in url.split("?")[1].split("&") if "execType=" in part)
        kinds.append(kind)
        result = {"nextPageCursor": "", "category": "linear", "list": answers.get(kind, [])}
        return {"retCode": 0, "retMsg": "OK", "result": result, "time": 1}

    client.fetch = fetch
    return kinds


def execution(kind, ts_ms):
    """A trade as Bybit documents it."""
    return {
        "symbol": "BTCUSDT",
        "orderId": "9aac161b-8ed6-450d-9cab-c5cc67c21785",
        "orderLinkId": "",
        "side": "Sell",
        "orderType": "Market",
        "stopOrderType": "UNKNOWN",
        "execFee": "0",
        "execId": "0ab1bdf7-4219-438b-b30a-32ec863018f8",
        "execPrice": "95850.0",
        "execQty": "0.5",
        "execType": kind,
        "execTime": str(ts_ms),
        "isMaker": False,
        "feeRate": "0",
        "closedSize": "0.5",
    }


@pytest.mark.parametrize("kind", ["Trade", "BustTrade", "AdlTrade"])
async def test_the_venue_s_own_kinds_are_asked_for_while_nobody_s_trade_is_found(tmp_path, kind):
    """What closed the position is told by the first list that holds it, and no more is asked then."""
    async with seat(tmp_path) as s:
        now_ms = s.exchange._clock.now_ms()
        kinds = asked_for(s, {kind: [execution(kind, now_ms)]})
        (trade,) = await s.exchange.fetch_outside_trades(BTC, now_ms - 60_000)
        assert (trade.fill.quantity, trade.fill.price, trade.fill.fee) == (D("0.5"), D(95850), 0)
        asked = ["Trade", "BustTrade", "AdlTrade"]
        assert kinds == asked[: asked.index(kind) + 1]


async def test_it_is_asked_once_of_each_kind_where_there_is_nothing(tmp_path):
    async with seat(tmp_path) as s:
        kinds = asked_for(s, {})
        assert await s.exchange.fetch_outside_trades(BTC, s.exchange._clock.now_ms() - 60_000) == ()
        assert kinds == ["Trade", "BustTrade", "AdlTrade"]


async def test_coins_are_nobody_s_to_take(tmp_path):
    async with spot_seat(tmp_path, "bybit") as s:
        kinds = asked_for(s, {})
        assert await s.exchange.fetch_outside_trades(SPOT, s.exchange._clock.now_ms() - 60_000) == ()
        assert kinds == ["Trade"]
