"""Orders that were not placed through this face: somebody else's in the same account, or from before a restart.

Rules of this file: what the venue does not tell is guessed as the plainest that fits; what a trade of before realised
is not known and told as nothing.
"""

from collections.abc import Sequence
from dataclasses import replace

from livebot.core.order import ZERO, Fill, Leg, OrderKind, OrderRequest, OrderStatus, VenueOrder
from livebot.simulator.binance.records import (
    CLOSE,
    TAKE_PROFIT,
    AlgoRecord,
    Either,
    OrderRecord,
    Trade,
    algo_number,
    foreign_number,
    order_number,
    parts_of_key,
)
from livebot.simulator.venue import HAND, LIQUIDATION, SimulatedVenue
from livebot.simulator.venue_listings import Listings

_BEFORE = 10**12  # trades from before this process come before all others


def read_order(order: VenueOrder, key: str, listings: Listings, venue: SimulatedVenue) -> Either:
    """The record of an order as the venue reports it; `key` is its client order id there, or one made for it."""
    listing = listings.of_symbol(order.symbol)
    flags, client_id = parts_of_key(key)
    stop = order.kind is OrderKind.STOP_MARKET
    request = request_of(key, order.symbol, order)
    if not listing.spot and (stop or TAKE_PROFIT in flags):
        level = order.trigger_price if stop else order.price
        assert level is not None  # of its kind
        return AlgoRecord(
            listing=listing,
            request=request,
            order_type="STOP_MARKET" if stop else "TAKE_PROFIT_MARKET",
            client_id=client_id,
            created_ms=venue.now_ms,
            trigger_price=level,
            quantity=order.quantity,
            close_position=CLOSE in flags,
            number=algo_number(order.venue_order_id),
        )
    limit = order.kind is OrderKind.LIMIT
    return OrderRecord(
        listing=listing,
        request=request,
        order_type="STOP_LOSS" if stop else "LIMIT" if limit else "MARKET",
        client_id=client_id,
        created_ms=venue.now_ms,
        quantity=order.quantity,
        stop_price=order.trigger_price,
        number=order_number(order.venue_order_id),
        status="PARTIALLY_FILLED" if order.filled else "NEW",
        filled=order.filled,
        value=order.filled * (order.price or venue.price(order.symbol)),
    )


def remembered(order: VenueOrder, fills: Sequence[Fill], listings: Listings, venue: SimulatedVenue) -> list[Either]:
    """The records of an order that has ended: one, or a conditional one and what it made."""
    key = order.client_order_id or ""
    record = read_order(replace(order, filled=ZERO), key, listings, venue)
    told = "FILLED" if order.status is OrderStatus.FILLED else "CANCELED"
    if isinstance(record, OrderRecord):
        return [_with_trades(record, fills, told)]
    if not fills:
        record.status = "CANCELED"
        return [record]
    child = OrderRecord(
        listing=record.listing,
        request=record.request,
        order_type="MARKET",
        client_id=record.client_id,
        created_ms=fills[0].ts_ms,
        quantity=order.filled if record.close_position else record.quantity,
        close_position=record.close_position,
        number=order_number(order.venue_order_id),
        algo=record,
    )
    told = "FILLED" if order.filled == child.quantity else told
    record.child, record.status, record.triggered_ms = child, "FINISHED", fills[0].ts_ms
    return [record, _with_trades(child, fills, told)]


def is_maker(record: OrderRecord, fill: Fill) -> bool:
    """Whether the trade paid the maker's fee for a resting order."""
    whole = fill.quantity if fill.base_fee else fill.quantity * fill.price
    cheap = (fill.base_fee or fill.fee) < whole * record.listing.instrument.taker_fee
    return record.request.kind is OrderKind.LIMIT and record.algo is None and cheap


def working_namelessly(venue: SimulatedVenue) -> list[VenueOrder]:
    """Orders whose client order id the venue does not tell."""
    return [order for order in venue.open_orders() if order.client_order_id is None]


def trader_of(fill: Fill, symbol: str, listings: Listings, venue: SimulatedVenue) -> OrderRecord:
    """The record of an order that the venue does not tell, as far as its first trade shows it."""
    key = fill.client_order_id
    by_venue = key.startswith(LIQUIDATION)
    filled = sum((each.quantity for each in venue.fills(symbol, key)), ZERO)
    fitting = (symbol, fill.side, filled)
    for order in working_namelessly(venue):
        if (order.symbol, order.side, order.filled) == fitting:
            name = key if by_venue else f"web_{order.venue_order_id}"
            record = read_order(replace(order, filled=ZERO), f"~~{name}", listings, venue)
            if isinstance(record, OrderRecord):
                record.request = replace(record.request, client_order_id=key)
                return record
    number = key.removeprefix(HAND).removeprefix(LIQUIDATION)
    return OrderRecord(
        listing=listings.of_symbol(symbol),
        request=request_of(key, symbol, fill),
        order_type="MARKET",
        client_id=key if by_venue else f"web_{number}",
        created_ms=fill.ts_ms,
        quantity=filled,
        number=order_number(number) if number.isdigit() else foreign_number(int(fill.trade_id)),
    )


def _with_trades(record: OrderRecord, fills: Sequence[Fill], status: str) -> OrderRecord:
    for fill in fills:
        record.book(Trade(fill, ZERO, is_maker(record, fill), int(fill.trade_id) - _BEFORE))
    record.status, record.told = status, True
    return record


def request_of(key: str, symbol: str, source: VenueOrder | Fill) -> OrderRequest:
    """As much of a request as can be told from an order, or from a trade of an order that is not told."""
    order = source if isinstance(source, VenueOrder) else None
    return OrderRequest(
        client_order_id=key,
        symbol=symbol,
        leg=Leg.EXIT,
        attempt=0,
        side=source.side,
        kind=order.kind if order else OrderKind.MARKET,
        quantity=source.quantity,
        price=order.price if order else None,
        trigger_price=order.trigger_price if order else None,
        reduce_only=order.reduce_only if order else False,
    )
