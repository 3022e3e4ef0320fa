"""Binance's REST interface of the spot market: what each path gives for its parameters.

Rules of this file: weights are those of Binance's documentation; what clients ask for on their way and this exchange
has none of (margin pairs, coin networks) is an empty list.
"""

from collections.abc import Callable
from secrets import token_hex
from typing import Any

from livebot.simulator.binance import spot_forms
from livebot.simulator.binance.account import BinanceAccount
from livebot.simulator.binance.codes import cannot_cancel, no_such_order
from livebot.simulator.binance.orders import Params, client_id
from livebot.simulator.binance.routes import Calls, Json, Routes, private, public, trading, with_symbol
from livebot.simulator.binance.spot_orders import new_order

_FULL = ("MARKET", "LIMIT")


class SpotRest(Calls):
    """The calls over one account."""

    def __init__(self, account: BinanceAccount, now_ms: Callable[[], int], limits: list[dict[str, Any]]) -> None:
        super().__init__(account, now_ms, spot=True, limits=limits)
        self.routes: Routes = {
            ("GET", "/api/v3/ping"): public(lambda _: {}),
            ("GET", "/api/v3/time"): public(self.time),
            ("GET", "/api/v3/exchangeInfo"): public(self.exchange_info, 20),
            ("GET", "/api/v3/klines"): public(self.klines, 2),
            ("GET", "/api/v3/ticker/24hr"): public(self.tickers, with_symbol(2, 80)),
            ("GET", "/api/v3/ticker/bookTicker"): public(self.books, with_symbol(2, 4)),
            ("GET", "/api/v3/ticker/price"): public(self.prices, with_symbol(2, 4)),
            ("POST", "/api/v3/order"): trading(self._create, counts=True),
            ("DELETE", "/api/v3/order"): trading(self._cancel),
            ("DELETE", "/api/v3/openOrders"): trading(self._cancel_all),
            ("GET", "/api/v3/order"): private(self._order, 4),
            ("GET", "/api/v3/openOrders"): private(self._open_orders, with_symbol(6, 80)),
            ("GET", "/api/v3/allOrders"): private(self._all_orders, 20),
            ("GET", "/api/v3/myTrades"): private(self._trades, 20),
            ("GET", "/api/v3/account"): private(lambda _: spot_forms.account_row(self.account), 20),
            ("GET", "/sapi/v1/account/apiRestrictions"): private(self._restrictions),
            ("GET", "/sapi/v1/asset/tradeFee"): private(self._fees),
            ("GET", "/sapi/v1/capital/config/getall"): private(self.nothing, 10),
            ("GET", "/sapi/v1/margin/allPairs"): public(self.nothing),
            ("GET", "/sapi/v1/margin/isolated/allPairs"): private(self.nothing, 10),
        }

    def _create(self, params: Params) -> Json:
        listing = self.listing(params)
        record = new_order({name: value for name, value in params.items() if name != "apiKey"}, listing, self.account)
        self.account.create(record)
        usual = "FULL" if record.order_type in _FULL else "ACK"
        return spot_forms.new_order_row(record, params.get("newOrderRespType") or usual)

    def _cancel(self, params: Params) -> Json:
        record = self.known(params, cannot_cancel(), live=True)
        self.account.cancel(record, cancel_id=client_id(params, "newClientOrderId", spot=True))
        return spot_forms.cancelled_row(record)

    def _cancel_all(self, params: Params) -> Json:
        records = self.account.open_orders(self.listing(params), spot=True)
        if not records:
            raise cannot_cancel()
        for record in records:
            self.account.cancel(record, cancel_id=token_hex(11))
        return [spot_forms.cancelled_row(record) for record in records]

    def _order(self, params: Params) -> Json:
        return spot_forms.order_row(self.known(params, no_such_order()))

    def _open_orders(self, params: Params) -> Json:
        found = self.account.open_orders(self.listing_or_none(params), spot=True)
        return [spot_forms.order_row(record) for record in found]

    def _all_orders(self, params: Params) -> Json:
        return [spot_forms.order_row(record) for record in self.all_orders(params)]

    def _trades(self, params: Params) -> Json:
        return [spot_forms.trade_row(record, trade) for record, trade in self.all_trades(params)]

    def _restrictions(self, params: Params) -> Json:
        trades = self.account.settings.keys[params["apiKey"]].state == "ok"
        return {
            "ipRestrict": True,
            "createTime": 1_698_645_219_000,
            "enableReading": True,
            "enableWithdrawals": False,
            "enableInternalTransfer": False,
            "enableMargin": False,
            "enableFutures": trades,
            "permitsUniversalTransfer": False,
            "enableVanillaOptions": False,
            "enableSpotAndMarginTrading": trades,
        }

    def _fees(self, params: Params) -> Json:
        named = self.listing_or_none(params)
        return [
            {
                "symbol": listing.name,
                "makerCommission": spot_forms.eight(listing.instrument.maker_fee),
                "takerCommission": spot_forms.eight(listing.instrument.taker_fee),
            }
            for listing in ([named] if named else self.listings.of_category(self._category))
        ]
