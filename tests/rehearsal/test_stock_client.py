"""What a stock client says, taken over as it is; on venues that list things in another way."""

from decimal import Decimal

import ccxt.async_support as ccxt
import pytest

from livebot.errors import Transient
from livebot.rehearsal import stock_client as module
from livebot.rehearsal.stock_client import StockClient

BTC = "BTC/USDT:USDT"


def row(**changes):
    given = {
        "id": "1",
        "clientOrderId": "lb1",
        "symbol": BTC,
        "side": "sell",
        "status": "open",
        "type": "limit",
        "amount": "2",
        "filled": None,
        "price": "100",
        "triggerPrice": None,
        "reduceOnly": None,
        "info": {},
    }
    return given | changes


class Fake:
    """Answers what it was given, and remembers what it was asked."""

    def __init__(self, name, **answers):
        self.id = name
        self.answers = answers
        self.asked = []

    def __getattr__(self, method):
        async def answer(*arguments):
            self.asked.append((method, arguments))
            found = self.answers[method]
            if isinstance(found, Exception):
                raise found
            return found(*arguments) if callable(found) else found

        return answer


BALANCE = {"info": {"totalMarginBalance": "990.5"}, "total": {"USDT": "1000", "BTC": "0.5"}}


async def test_binance_lists_its_conditional_orders_apart_and_its_history_by_symbol():
    def opened(_symbol, _since, _limit, extra):
        stop = row(id="7", triggerPrice="90", price=None, type="market", info={"orderType": "STOP_MARKET"})
        return [stop] if extra else [row()]

    def history(symbol, _since, _limit, extra):
        return [row(id="8", symbol=symbol, status="closed", filled="2")] if not extra else []

    positions = [
        {"symbol": BTC, "contracts": "2", "side": "short", "entryPrice": "101"},
        {"symbol": "ETH/USDT:USDT", "contracts": "0", "side": None, "entryPrice": None},
    ]
    fake = Fake(
        "binanceusdm", fetch_open_orders=opened, fetch_balance=BALANCE, fetch_positions=positions, fetch_orders=history
    )
    client = StockClient(fake, (BTC,))
    sight = await client.look()
    assert [(order.stop, order.live, order.price) for order in sight.orders] == [
        (False, True, Decimal(100)),
        (True, True, None),
    ]
    assert [(each.quantity, each.price) for each in sight.positions] == [(-2, 101)]
    assert sight.equity == Decimal("990.5")
    fake.answers["fetch_my_trades"] = [row(id=5, amount="0.5")]
    assert [(trade.trade_id, trade.quantity) for trade in await client.every_trade()] == [("5", Decimal("0.5"))]
    orders = await client.every_order()
    assert sorted(order.live for order in orders) == [False, True, True]


async def test_on_a_spot_market_coins_are_positions():
    fake = Fake("binance", fetch_open_orders=[row(symbol="BTC/USDT")], fetch_balance={**BALANCE, "info": {}})
    fake.markets = {"BTC/USDT": {"precision": {"amount": "0.3"}}}
    sight = await StockClient(fake, ("BTC/USDT", "ETH/USDT")).look()
    assert [(each.symbol, each.quantity) for each in sight.positions] == [("BTC/USDT", Decimal("0.5"))]
    assert (sight.held("BTC/USDT"), sight.lot_step("BTC/USDT")) == (Decimal("0.5"), Decimal("0.3"))
    assert [each.closable for each in sight.positions] == [Decimal("0.3")]
    assert sight.equity == 1000
    assert len([method for method, _ in fake.asked if method == "fetch_open_orders"]) == 1


@pytest.mark.parametrize(
    ("changes", "stop"),
    [
        ({"info": {"triggerDirection": 2}}, True),
        ({"info": {"triggerDirection": 1}}, False),
        ({"side": "buy", "info": {"triggerDirection": 1}}, True),
        ({"info": {"stopOrderType": "TakeProfit", "triggerDirection": 2}}, False),
        ({"info": {"type": "TAKE_PROFIT_MARKET"}}, False),
        ({"triggerPrice": None}, False),
    ],
)
async def test_a_stop_is_what_waits_for_the_price_to_go_against_the_position(changes, stop):
    fake = Fake(
        "bybit", fetch_open_orders=[row(**{"triggerPrice": "90", **changes})], fetch_balance=BALANCE, fetch_positions=[]
    )
    (order,) = (await StockClient(fake, (BTC,)).look()).orders
    assert order.stop is stop


async def test_a_venue_that_does_not_answer_is_transient(monkeypatch):
    monkeypatch.setattr(module, "_RETRY_S", 0)
    with pytest.raises(Transient, match="fetch_open_orders: RequestTimeout"):
        await StockClient(Fake("bybit", fetch_open_orders=ccxt.RequestTimeout("late")), (BTC,)).look()
    fake = Fake("bybit", load_markets=ccxt.ExchangeNotAvailable("down"))
    with pytest.raises(Transient, match="tells no markets"):
        await module._load_markets(fake)
    assert len(fake.asked) == module._ATTEMPTS
