"""Whatever is done in a futures account, its stream alone tells everything that REST tells when asked."""

from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livebot.simulator.binance import BinanceSettings
from livebot.simulator.binance.account import BinanceAccount
from livebot.simulator.binance.codes import Refused
from livebot.simulator.binance.futures_rest import FuturesRest
from livebot.simulator.binance.listen_keys import ListenKeys
from livebot.simulator.matching import FillModel
from livebot.simulator.venue import SimulatedVenue, VenueSettings
from livebot.simulator.venue_listings import Listings
from tests.simulator.builders import BTC, D, WrittenMarket, order

MINUTES = 12
OPEN = ("NEW", "PARTIALLY_FILLED")
SYMBOL = {"symbol": "BTCUSDT"}
prices = st.integers(96, 104)
sides = st.sampled_from(("BUY", "SELL"))
names = st.sampled_from("ab")
yes = st.sampled_from(("false", "false", "true"))
market_orders = st.tuples(st.just("market"), sides, names, prices, yes)
limit_orders = st.tuples(st.just("limit"), sides, names, prices, yes)
stops = st.tuples(st.sampled_from(("STOP_MARKET", "TAKE_PROFIT_MARKET")), sides, names, prices, yes)
others = st.tuples(
    st.sampled_from(("cancel", "cancel_algo", "amend", "minute", "by_hand", "by_venue")), sides, names, prices, yes
)
deeds = st.lists(market_orders | limit_orders | stops | others | others, min_size=12, max_size=25)
candles = st.lists(st.tuples(prices, prices, prices, prices), min_size=MINUTES + 1, max_size=MINUTES + 1)


class Mirror:
    """What who listens knows."""

    def __init__(self) -> None:
        self.position = D(0)
        self.orders: dict[int, dict[str, Any]] = {}
        self.algos: dict[int, dict[str, Any]] = {}

    def hear(self, message: dict[str, Any]) -> None:
        if message["e"] == "ACCOUNT_UPDATE":
            self.position = D(message["a"]["P"][0]["pa"])
        elif message["e"] == "ALGO_UPDATE":
            told = message["o"]
            assert self.algos.get(told["aid"], {"X": "NEW"})["X"] in ("NEW", "TRIGGERING", "TRIGGERED")
            self.algos[told["aid"]] = told
        elif message["e"] == "ORDER_TRADE_UPDATE":
            told = message["o"]
            before = self.orders.get(told["i"])
            assert (before is None) is (told["x"] == "NEW")
            if before is not None:
                assert before["X"] in OPEN
                assert D(told["z"]) == D(before["z"]) + D(told["l"])
            self.orders[told["i"]] = told


class Rig:
    """An account without a network."""

    def __init__(self, rows: list[tuple[int, int, int, int]], chance: float) -> None:
        shaped = [(float(a), float(max(a, b, c)), float(min(a, b, c)), float(b)) for a, b, c, _ in rows]
        model = FillModel(slippage=Decimal(0), partial_probability=chance)
        self.venue = SimulatedVenue(WrittenMarket({BTC: shaped}), VenueSettings(fills=model))
        listings = Listings(self.venue)
        self.account = BinanceAccount(self.venue, listings, BinanceSettings(), lambda: self.venue.now_ms, lambda: None)
        keys = ListenKeys(1, lambda: 0.0, lambda *_: None, lambda _: None)
        self.rest = FuturesRest(self.account, lambda: 0, keys, [])
        self.mirror = Mirror()
        self.made = 0

    def ask(self, method: str, path: str, **params: str) -> Any:
        return self.rest.routes[method, f"/fapi/v1/{path}"].call(SYMBOL | params)

    def do(self, what: str, side: str, name: str, price: int, reduces: str) -> None:
        with suppress(Refused):
            self._do(what, side, name, str(price), reduces)
        self.account.look_around()
        self.account.settle()
        for _, message in self.account.take_changes():
            self.mirror.hear(message)

    def _do(self, what: str, side: str, name: str, price: str, reduces: str) -> None:
        common = {"side": side, "quantity": "1", "reduceOnly": reduces}
        if what == "minute" and not self.venue.ended:
            self.venue.step()
        elif what == "by_hand" and self.account.held(BTC):
            self.venue.close_by_hand(BTC, self.venue.now_ms)
        elif what == "by_venue":
            self.made += 1
            self.venue.submit(order(f"v{self.made}", side.lower(), "1", limit=price), self.venue.now_ms)
        elif what in ("market", "limit"):
            more = {"type": what.upper(), "newClientOrderId": name, "newOrderRespType": "RESULT"}
            answer = self.ask("POST", "order", timeInForce="GTC", price=price, **common, **more)
            assert answer["clientOrderId"] == name
        elif what.endswith("MARKET"):
            more = {"type": what, "clientAlgoId": name, "algoType": "CONDITIONAL", "triggerPrice": price}
            self.ask("POST", "algoOrder", **common, **more)
        elif what == "cancel":
            self.ask("DELETE", "order", origClientOrderId=name)
        elif what == "cancel_algo":
            self.ask("DELETE", "algoOrder", clientAlgoId=name)
        elif what == "amend":
            present = self.ask("GET", "openOrder", origClientOrderId=name)["side"]
            self.ask("PUT", "order", side=present, quantity="2", price=price, origClientOrderId=name)

    def check(self) -> None:
        venue = sum((each.quantity for each in self.venue.positions()), D(0))
        assert self.mirror.position == venue == self.account.held(BTC)
        rows = {row["orderId"]: row for row in self.ask("GET", "allOrders")}
        assert {number: (row["status"], row["executedQty"]) for number, row in rows.items()} == {
            number: (told["X"], told["z"]) for number, told in self.mirror.orders.items()
        }
        opened = {row["orderId"] for row in self.ask("GET", "openOrders")}
        assert opened == {number for number, told in self.mirror.orders.items() if told["X"] in OPEN}
        algos = {row["algoId"]: row["algoStatus"] for row in self.ask("GET", "allAlgoOrders")}
        assert algos == {number: told["X"] for number, told in self.mirror.algos.items()}
        bought = {"BUY": 1, "SELL": -1}
        trades = self.ask("GET", "userTrades")
        assert sum((bought[each["side"]] * D(each["qty"]) for each in trades), D(0)) == venue


@pytest.mark.untraced
@settings(max_examples=60, deadline=None)
@given(deeds, candles, st.sampled_from((0.0, 0.7)))
def test_the_stream_alone_tells_everything(todo, rows, chance):
    rig = Rig(rows, chance)
    for deed in todo:
        rig.do(*deed)
        rig.check()
