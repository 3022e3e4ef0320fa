"""Binance's REST interface of the USD-M futures: what each path gives for its parameters.

Rules of this file: plain orders and conditional ones are found, listed and cancelled apart from each other; weights are
those of Binance's documentation.
"""

from collections.abc import Callable
from typing import Any

from livebot.simulator.binance import balances, forms, markets
from livebot.simulator.binance.account import BinanceAccount
from livebot.simulator.binance.codes import (
    BAD_DATA,
    NO_LEVERAGE,
    NO_MARGIN_TYPE_CHANGE,
    NO_SIDE_CHANGE,
    Refused,
    bad_data,
    cannot_cancel,
    no_such_order,
    not_offered,
)
from livebot.simulator.binance.listen_keys import ListenKeys
from livebot.simulator.binance.orders import Params, amend, check_position_side, new_algo, new_order, number, true
from livebot.simulator.binance.records import AlgoRecord
from livebot.simulator.binance.routes import Calls, Json, Route, Routes, private, public, trading, with_symbol
from livebot.simulator.venue_listings import text as plain

_ALL_CANCELLED = "The operation of cancel all open order is done."
_FEW, _SOME, _MANY = 100, 500, 1000


class FuturesRest(Calls):
    """The calls over one account."""

    def __init__(
        self,
        account: BinanceAccount,
        now_ms: Callable[[], int],
        keys: ListenKeys,
        limits: list[dict[str, Any]],
    ) -> None:
        super().__init__(account, now_ms, spot=False, limits=limits)
        self._keys = keys
        self.dual_side = account.settings.dual_side
        self.routes: Routes = {
            **self._market_routes(),
            **self._order_routes(),
            **self._account_routes(),
            ("POST", "/fapi/v1/listenKey"): Route(self._make_key, lambda _: 1, keyed=True),
            ("PUT", "/fapi/v1/listenKey"): Route(self._keep_key, lambda _: 1, keyed=True),
            ("DELETE", "/fapi/v1/listenKey"): Route(self._drop_key, lambda _: 1, keyed=True),
        }

    def _market_routes(self) -> Routes:
        return {
            ("GET", "/fapi/v1/ping"): public(lambda _: {}),
            ("GET", "/fapi/v1/time"): public(self.time),
            ("GET", "/fapi/v1/exchangeInfo"): public(self.exchange_info),
            ("GET", "/dapi/v1/exchangeInfo"): public(lambda _: {"symbols": []}),
            ("GET", "/fapi/v1/klines"): public(self.klines, _klines_weight),
            ("GET", "/fapi/v1/ticker/24hr"): public(self.tickers, with_symbol(1, 40)),
            ("GET", "/fapi/v1/ticker/bookTicker"): public(self.books, with_symbol(2, 5)),
            ("GET", "/fapi/v1/premiumIndex"): public(self._funding, with_symbol(1, 10)),
            ("GET", "/fapi/v1/ticker/price"): public(self.prices, with_symbol(1, 2)),
            ("GET", "/fapi/v2/ticker/price"): public(self.prices, with_symbol(1, 2)),
        }

    def _order_routes(self) -> Routes:
        return {
            ("POST", "/fapi/v1/order"): trading(self._create, 0, counts=True),
            ("PUT", "/fapi/v1/order"): trading(self._amend, counts=True),
            ("DELETE", "/fapi/v1/order"): trading(self._cancel),
            ("DELETE", "/fapi/v1/allOpenOrders"): trading(self._cancel_all),
            ("GET", "/fapi/v1/order"): private(self._order),
            ("GET", "/fapi/v1/openOrder"): private(self._open_order),
            ("GET", "/fapi/v1/openOrders"): private(self._open_orders, with_symbol(1, 40)),
            ("GET", "/fapi/v1/allOrders"): private(self._all_orders, 5),
            ("GET", "/fapi/v1/userTrades"): private(self._trades, 5),
            ("POST", "/fapi/v1/algoOrder"): trading(self._create_algo, 0, counts=True),
            ("DELETE", "/fapi/v1/algoOrder"): trading(self._cancel_algo),
            ("DELETE", "/fapi/v1/algoOpenOrders"): trading(self._cancel_algos),
            ("GET", "/fapi/v1/algoOrder"): private(self._algo),
            ("GET", "/fapi/v1/openAlgoOrders"): private(self._open_algos, with_symbol(1, 40)),
            ("GET", "/fapi/v1/allAlgoOrders"): private(self._all_algos, 5),
        }

    def _account_routes(self) -> Routes:
        return {
            ("GET", "/fapi/v3/account"): private(lambda _: balances.account_row(self.account, version=3), 5),
            ("GET", "/fapi/v2/account"): private(lambda _: balances.account_row(self.account, version=2), 5),
            ("GET", "/fapi/v3/balance"): private(lambda _: balances.balance_rows(self.account), 5),
            ("GET", "/fapi/v2/balance"): private(lambda _: balances.balance_rows(self.account), 5),
            ("GET", "/fapi/v3/positionRisk"): private(lambda params: self._positions(params, version=3), 5),
            ("GET", "/fapi/v2/positionRisk"): private(lambda params: self._positions(params, version=2), 5),
            ("GET", "/fapi/v1/leverageBracket"): private(self._brackets),
            ("GET", "/fapi/v1/symbolConfig"): private(self._symbol_config, 5),
            ("GET", "/fapi/v1/commissionRate"): private(self._fees, 20),
            ("GET", "/fapi/v1/accountConfig"): private(lambda _: self._account_config(), 5),
            ("GET", "/fapi/v1/positionSide/dual"): private(lambda _: {"dualSidePosition": self.dual_side}, 30),
            ("GET", "/fapi/v1/multiAssetsMargin"): private(lambda _: {"multiAssetsMargin": False}, 30),
            ("POST", "/fapi/v1/positionSide/dual"): trading(self._set_dual),
            ("POST", "/fapi/v1/leverage"): trading(self._set_leverage),
            ("POST", "/fapi/v1/marginType"): trading(self._set_margin_type),
        }

    def _funding(self, params: Params) -> Json:
        named = self.listing_or_none(params)
        found = [named] if named else self.listings.of_category(self._category)
        rows = [markets.funding_row(listing, self.account.venue) for listing in found]
        return rows[0] if named else rows

    # Orders

    def _create(self, params: Params) -> Json:
        listing = self.listing(params)
        check_position_side(params, dual_side=self.dual_side)
        record = new_order(params, listing, self.account)
        self.account.create(record)
        row = forms.order_row(record, asked=False)
        if params.get("newOrderRespType") != "RESULT":  # ACK: as it was when it came in
            row |= {"status": "NEW", "executedQty": "0", "cumQty": "0", "cumQuote": "0", "avgPrice": "0.00"}
        return row

    def _amend(self, params: Params) -> Json:
        record = self.known(params, no_such_order(), live=True)
        amend(params, record, self.account)
        return forms.order_row(record, asked=False)

    def _cancel(self, params: Params) -> Json:
        record = self.known(params, cannot_cancel(), live=True)
        self.account.cancel(record)
        return forms.order_row(record, asked=False)

    def _cancel_all(self, params: Params) -> Json:
        listing = self.listing(params)
        for record in self.account.open_orders(listing, spot=False):
            self.account.cancel(record)
        return {"code": 200, "msg": _ALL_CANCELLED}

    def _order(self, params: Params) -> Json:
        return forms.order_row(self.known(params, no_such_order()))

    def _open_order(self, params: Params) -> Json:
        return forms.order_row(self.known(params, no_such_order(), live=True))

    def _open_orders(self, params: Params) -> Json:
        found = self.account.open_orders(self.listing_or_none(params), spot=False)
        return [forms.order_row(record) for record in found]

    def _all_orders(self, params: Params) -> Json:
        return [forms.order_row(record) for record in self.all_orders(params)]

    def _trades(self, params: Params) -> Json:
        return [forms.trade_row(record, trade) for record, trade in self.all_trades(params)]

    # Conditional orders

    def _create_algo(self, params: Params) -> Json:
        listing = self.listing(params)
        check_position_side(params, dual_side=self.dual_side)
        algo = new_algo(params, listing, self.account)
        self.account.create_algo(algo)
        return forms.algo_row(algo, asked=False)

    def _cancel_algo(self, params: Params) -> Json:
        algo = self._known_algo(params, cannot_cancel())
        if not algo.waiting:
            raise cannot_cancel()
        self.account.cancel(algo)
        return {"algoId": algo.number, "clientAlgoId": algo.client_id, "code": "200", "msg": "success"}

    def _cancel_algos(self, params: Params) -> Json:
        for algo in self.account.open_algos(self.listing(params)):
            if algo.waiting:
                self.account.cancel(algo)
        return {"code": "200", "msg": _ALL_CANCELLED}

    def _algo(self, params: Params) -> Json:
        return forms.algo_row(self._known_algo(params, no_such_order()))

    def _open_algos(self, params: Params) -> Json:
        found = self.account.open_algos(self.listing_or_none(params))
        return [forms.algo_row(algo) for algo in found]

    def _all_algos(self, params: Params) -> Json:
        listing = self.listing(params)
        self.account.look_around()
        return [forms.algo_row(algo) for algo in self.account.records.algos() if algo.listing is listing]

    def _known_algo(self, params: Params, refusal: Refused) -> AlgoRecord:
        number_, client_id = params.get("algoId", ""), params.get("clientAlgoId", "")
        if not (number_ or client_id):
            raise Refused(-1102, "Param 'algoId' or 'clientAlgoId' must be sent, but both were empty/null!")
        self.account.look_around()
        algo = self.account.records.find_algo(number_, client_id)
        if algo is None and not number_:
            for listing in self.listings.of_category(self._category):
                self.account.recall(listing, client_id)
            algo = self.account.records.find_algo(number_, client_id)
        if algo is None:
            raise refusal
        return algo

    # The account

    def _positions(self, params: Params, *, version: int) -> Json:
        named = self.listing_or_none(params)
        found = [named] if named else self.listings.of_category(self._category)
        shown = [each for each in found if version == 2 or self.account.held(each.symbol)]  # noqa: PLR2004 - /fapi/v2
        return [balances.position_row(self.account, listing, version=version) for listing in shown]

    def _brackets(self, params: Params) -> Json:
        named = self.listing_or_none(params)
        bracket = {
            "bracket": 1,
            "initialLeverage": int(self.account.settings.leverage),
            "notionalCap": 1_000_000_000,
            "notionalFloor": 0,
            "maintMarginRatio": float(balances.MAINTENANCE),
            "cum": 0.0,
        }
        rows = [
            {"symbol": listing.name, "brackets": [bracket]}
            for listing in ([named] if named else self.listings.of_category(self._category))
        ]
        return rows[0] if named else rows

    def _symbol_config(self, params: Params) -> Json:
        named = self.listing_or_none(params)
        return [
            {
                "symbol": listing.name,
                "marginType": "CROSSED",
                "isAutoAddMargin": False,
                "leverage": int(self.account.settings.leverage),
                "maxNotionalValue": "1000000",
            }
            for listing in ([named] if named else self.listings.of_category(self._category))
        ]

    def _fees(self, params: Params) -> Json:
        listing = self.listing(params)
        instrument = listing.instrument
        return {
            "symbol": listing.name,
            "makerCommissionRate": plain(instrument.maker_fee),
            "takerCommissionRate": plain(instrument.taker_fee),
        }

    def _account_config(self) -> Json:
        return {
            "feeTier": 0,
            "canTrade": True,
            "canDeposit": True,
            "canWithdraw": True,
            "feeBurn": False,
            "tradeGroupId": -1,
            "updateTime": 0,
            "multiAssetsMargin": False,
            "dualSidePosition": self.dual_side,
        }

    def _set_dual(self, params: Params) -> Json:
        wanted = true(params, "dualSidePosition")
        if wanted is self.dual_side:
            raise Refused(NO_SIDE_CHANGE, "No need to change position side.")
        if wanted:
            raise not_offered("hedge mode is")
        self.dual_side = False
        return {"code": 200, "msg": "success"}

    def _set_leverage(self, params: Params) -> Json:
        listing, wanted = self.listing(params), number(params, "leverage")
        present = self.account.settings.leverage
        if wanted != present:
            text = f"Leverage {wanted} is not valid: that of this local exchange is {present} and cannot be changed"
            raise Refused(NO_LEVERAGE, text)
        return {"leverage": int(present), "maxNotionalValue": "1000000", "symbol": listing.name}

    def _set_margin_type(self, params: Params) -> Json:
        self.listing(params)
        if params.get("marginType") not in {"CROSSED", "ISOLATED"}:
            raise bad_data("marginType")
        if params["marginType"] == "CROSSED":
            raise Refused(NO_MARGIN_TYPE_CHANGE, "No need to change margin type.")
        raise Refused(BAD_DATA, "isolated margin is not offered by this local exchange.")

    # User streams

    def _make_key(self, params: Params) -> Json:
        return {"listenKey": self._keys.make(params["apiKey"])}

    def _keep_key(self, params: Params) -> Json:
        return {"listenKey": self._keys.keep(params["apiKey"])}

    def _drop_key(self, params: Params) -> Json:
        self._keys.drop(params["apiKey"])
        return {}


def _klines_weight(params: Params) -> int:
    limit = int(params["limit"]) if params.get("limit", "").isdigit() else _SOME
    return 1 if limit < _FEW else 2 if limit < _SOME else 5 if limit <= _MANY else 10
