"""Bybit's REST interface: what each path gives for its parameters.

Rules of this file: a call returns the `result` of the answer or raises Refused; parameters are text, as in a query.
Lists are one page: at most `limit` rows, newest first where Bybit has it so.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from livebot.simulator.bybit import forms, markets
from livebot.simulator.bybit.account import BybitAccount
from livebot.simulator.bybit.codes import (
    LEVERAGE_NOT_MODIFIED,
    MODE_NOT_MODIFIED,
    Refused,
    bad_parameter,
    unknown_order,
)
from livebot.simulator.bybit.orders import HEDGE, Params, amended, check_position_mode, new_order, number, trading_stop
from livebot.simulator.bybit.records import OrderRecord
from livebot.simulator.venue_listings import LINEAR, SPOT, Listing

Result = dict[str, Any]
Call = Callable[[Params], Result] | Callable[[Params], Awaitable[Result]]


@dataclass(frozen=True, slots=True)
class Route:
    """A path's call; `writes` needs more than a key that may only read."""

    call: Call
    private: bool = True
    writes: bool = False


class Rest:
    """The calls over one account; `now_ms` is the exchange's clock."""

    def __init__(self, account: BybitAccount, now_ms: Callable[[], int]) -> None:
        self._account = account
        self._listings = account.listings
        self._now_ms = now_ms
        self.position_mode = account.settings.position_mode
        self.routes: dict[tuple[str, str], Route] = {
            ("GET", "/v5/market/time"): Route(self._time, private=False),
            ("GET", "/v5/market/instruments-info"): Route(self._instruments, private=False),
            ("GET", "/v5/market/kline"): Route(self._kline, private=False),
            ("GET", "/v5/market/tickers"): Route(self._tickers, private=False),
            ("GET", "/v5/order/realtime"): Route(self._realtime),
            ("GET", "/v5/order/history"): Route(self._history),
            ("GET", "/v5/execution/list"): Route(self._executions),
            ("GET", "/v5/position/list"): Route(self._positions),
            ("GET", "/v5/account/wallet-balance"): Route(self._wallet),
            ("GET", "/v5/account/info"): Route(self._info),
            ("GET", "/v5/account/fee-rate"): Route(self._fees),
            ("GET", "/v5/user/query-api"): Route(self._api_key),
            ("GET", "/v5/asset/coin/query-info"): Route(self._coins),
            ("POST", "/v5/order/create"): Route(self._create, writes=True),
            ("POST", "/v5/order/amend"): Route(self._amend, writes=True),
            ("POST", "/v5/order/cancel"): Route(self._cancel, writes=True),
            ("POST", "/v5/order/cancel-all"): Route(self._cancel_all, writes=True),
            ("POST", "/v5/position/trading-stop"): Route(self._trading_stop, writes=True),
            ("POST", "/v5/position/set-leverage"): Route(self._leverage, writes=True),
            ("POST", "/v5/position/switch-mode"): Route(self._switch_mode, writes=True),
        }

    # The market

    def _time(self, _: Params) -> Result:
        now = self._now_ms()
        return {"timeSecond": str(now // 1000), "timeNano": str(now * 1_000_000)}

    def _instruments(self, params: Params) -> Result:
        category = params.get("category", "")
        found = [] if params.get("status") == "PreLaunch" else self._of(params)
        rows = [markets.instrument_row(listing) for listing in found]
        return {"category": category, "list": rows, "nextPageCursor": ""}

    async def _kline(self, params: Params) -> Result:
        listing = self._listing(params)
        frame = markets.interval_of(params.get("interval", ""))
        rows = await markets.kline_rows(listing, self._account.venue, frame, params)
        return {"category": listing.category, "symbol": listing.name, "list": rows}

    def _tickers(self, params: Params) -> Result:
        rows = [markets.ticker_row(listing, self._account.venue) for listing in self._of(params)]
        return {"category": params.get("category", ""), "list": rows}

    # Orders

    def _create(self, params: Params) -> Result:
        listing = self._listing(params)
        if not listing.spot:
            check_position_mode(params, self.position_mode)
        record = new_order(params, listing, self._account)
        self._account.create(record)
        return _named(record)

    def _amend(self, params: Params) -> Result:
        record = self._working(params, "replace")
        self._account.amend(record, amended(params, record))
        return _named(record)

    def _cancel(self, params: Params) -> Result:
        record = self._working(params, "cancel")
        self._account.cancel(record)
        return _named(record)

    def _cancel_all(self, params: Params) -> Result:
        records = [record for record in self._account.records.live() if _matches(record, params)]
        for record in records:
            if record.live:  # cancelling one can end another
                self._account.cancel(record)
        return {"list": [_named(record) for record in records], "success": "1"}

    def _realtime(self, params: Params) -> Result:
        working = self._account.working()
        wanted = params.get("orderId") or params.get("orderLinkId")
        if wanted or params.get("openOnly") in {"1", "2"}:
            working = [*working, *(each for each in self._account.records.recent() if not each.live)]
        return self._orders(working, params)

    def _history(self, params: Params) -> Result:
        status = params.get("orderStatus")
        ended = [record for record in self._account.records.all() if not record.live]
        return self._orders([record for record in ended if status in {None, record.status}], params)

    def _orders(self, records: list[OrderRecord], params: Params) -> Result:
        _category(params)
        rows = [forms.order_row(record) for record in records if _matches(record, params)]
        return _page(rows, params, 20)

    def _executions(self, params: Params) -> Result:
        _category(params)
        start, end = number(params, "startTime"), number(params, "endTime")
        kind = params.get("execType")
        found = [
            (execution, record)
            for record in self._account.records.all()
            for execution in record.executions
            if _matches(record, params | {"orderFilter": ""})
            and (start is None or execution.fill.ts_ms >= start)
            and (end is None or execution.fill.ts_ms <= end)
        ]
        found.sort(key=lambda pair: pair[0].sequence, reverse=True)
        rows = [forms.execution_row(record, execution) for execution, record in found]
        return _page([row for row in rows if kind in (None, "", row["execType"])], params, 50)

    # The account

    def _positions(self, params: Params) -> Result:
        if _category(params) == SPOT:
            raise bad_parameter("Illegal category")
        rows = [
            forms.position_row(self._account, listing)
            for listing in self._of(params)
            if params.get("symbol") or self._account.held(listing.symbol)
        ]
        if self.position_mode == HEDGE:
            rows = [row | {"positionIdx": side} for row in rows for side in (1, 2)]
        return _page(rows, params, 20)

    def _trading_stop(self, params: Params) -> Result:
        listing = self._listing(params)
        check_position_mode(params, self.position_mode)
        trading_stop(params, listing, self._account)
        return {}

    def _leverage(self, params: Params) -> Result:
        self._listing(params)
        present = self._account.settings.leverage
        if number(params, "buyLeverage") == number(params, "sellLeverage") == present:
            raise Refused(LEVERAGE_NOT_MODIFIED, "leverage not modified")
        raise bad_parameter(f"the leverage of this local exchange is {present} and cannot be changed")

    def _switch_mode(self, params: Params) -> Result:
        mode = params.get("mode", "")
        if mode == str(self.position_mode):
            raise Refused(MODE_NOT_MODIFIED, "Position mode is not modified")
        if mode != "0":
            raise bad_parameter("hedge mode is not offered by this local exchange")
        self.position_mode = 0
        return {}

    def _wallet(self, _: Params) -> Result:
        return {"list": [forms.wallet_row(self._account)]}

    def _info(self, _: Params) -> Result:
        return {
            "marginMode": "REGULAR_MARGIN",
            "updatedTime": "1697078946000",
            "unifiedMarginStatus": 6,
            "dcpStatus": "OFF",
            "timeWindow": 10,
            "smpGroup": 0,
            "isMasterTrader": False,
            "spotHedgingStatus": "OFF",
        }

    def _fees(self, params: Params) -> Result:
        rows = [
            {
                "symbol": listing.name,
                "takerFeeRate": str(listing.instrument.taker_fee),
                "makerFeeRate": str(listing.instrument.maker_fee),
                "baseCoin": "",
            }
            for listing in self._of(params)
        ]
        return {"list": rows}

    def _api_key(self, params: Params) -> Result:
        name = params["apiKey"]
        reads = self._account.settings.keys[name].state == "read_only"
        permissions = ("ContractTrade", "Spot", "Wallet", "Options", "Derivatives", "CopyTrading", "BlockTrade")
        granted = {"ContractTrade": ["Order", "Position"], "Spot": ["SpotTrade"], "Derivatives": ["DerivativesTrade"]}
        return {
            "id": "1",
            "note": "local exchange",
            "apiKey": name,
            "readOnly": int(reads),
            "secret": "",
            "permissions": {
                each: granted.get(each, []) for each in (*permissions, "Exchange", "NFT", "Affiliate", "Earn")
            },
            "ips": ["*"],
            "type": 1,
            "deadlineDay": -2,
            "expiredAt": "1970-01-01T00:00:00Z",
            "createdAt": "2025-10-13T03:20:45Z",
            "unified": 0,
            "uta": 1,
            "userID": 1,
            "inviterID": 0,
            "vipLevel": "No VIP",
            "mktMakerLevel": "0",
            "affiliateID": 0,
            "rsaPublicKey": "",
            "isMaster": True,
            "parentUid": "0",
            "kycLevel": "LEVEL_DEFAULT",
            "kycRegion": "",
        }

    def _coins(self, _: Params) -> Result:
        return {"rows": []}

    # What parameters name

    def _listing(self, params: Params) -> Listing:
        return markets.listing_of(self._listings, _category(params), params.get("symbol", ""))

    def _of(self, params: Params) -> list[Listing]:
        category, name = params.get("category", ""), params.get("symbol", "")
        return [markets.listing_of(self._listings, category, name)] if name else self._listings.of_category(category)

    def _working(self, params: Params, verb: str) -> OrderRecord:
        listing = self._listing(params)
        order_id, link_id = params.get("orderId", ""), params.get("orderLinkId", "")
        if not (order_id or link_id):
            raise bad_parameter("params error: OrderId or orderLinkId is required")
        record = self._account.records.find(listing, order_id, link_id)
        if record is None or not record.live:
            raise unknown_order(listing.category, verb)
        return record


def _category(params: Params) -> str:
    category = params.get("category", "")
    if category not in {LINEAR, SPOT, "inverse", "option"}:
        raise bad_parameter("Illegal category")
    return category


def _named(record: OrderRecord) -> Result:
    return {"orderId": record.order_id, "orderLinkId": record.link_id}


def _matches(record: OrderRecord, params: Params) -> bool:
    if record.listing.category != params.get("category"):
        return False
    order_id, link_id = params.get("orderId"), params.get("orderLinkId")
    if order_id or link_id:
        return record.order_id == order_id if order_id else record.link_id == link_id
    wanted = params.get("symbol"), params.get("baseCoin"), params.get("settleCoin")
    instrument = record.listing.instrument
    present = record.listing.name, instrument.base, instrument.quote
    fits = all(not want or want == have for want, have in zip(wanted, present, strict=True))
    return fits and _of_filter(record, params.get("orderFilter", ""))


def _of_filter(record: OrderRecord, name: str) -> bool:
    if name == "Order":
        return not record.conditional
    return record.conditional if name in {"StopOrder", "tpslOrder"} else True


def _page(rows: list[Result], params: Params, usual: int) -> Result:
    limit = int(number(params, "limit") or usual)
    begin = int(number(params, "cursor") or 0)
    more = begin + limit < len(rows)
    return {
        "category": params.get("category", ""),
        "list": rows[begin : begin + limit],
        "nextPageCursor": str(begin + limit) if more else "",
    }
