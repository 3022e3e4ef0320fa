"""The account behind the local Binance: it turns Binance's orders into the venue's and the venue's events into Binance's.

Rules of this file: the venue alone decides what trades; what is kept here are words for it.  Whatever happens in the
venue is heard at once, also what somebody else did there.  What is to be told of an order goes out in Binance's order:
the order is new, the account changes, the trade; around it, for the order that a conditional one made, TRIGGERING
before and TRIGGERED and FINISHED after.
"""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from livebot.core.inputs import OrderAccepted, OrderEnded, OrderEvent, OrderFilled, OrderRejected
from livebot.core.order import ZERO, Fill, OrderStatus
from livebot.errors import Rejected
from livebot.simulator.binance import balances, forms, spot_forms
from livebot.simulator.binance.codes import CLOSE_EXISTS, NOTHING_TO_CLOSE, Refused, refusal_of
from livebot.simulator.binance.records import (
    CLOSE,
    TAKE_PROFIT,
    AlgoRecord,
    Either,
    OrderRecord,
    Records,
    Trade,
    algo_number,
    order_number,
    possible_keys,
)
from livebot.simulator.binance.reducing import displaced_by, reduces
from livebot.simulator.binance.settings import BinanceSettings
from livebot.simulator.binance.strangers import is_maker, read_order, remembered, trader_of, working_namelessly
from livebot.simulator.holdings import Holding, Holdings
from livebot.simulator.venue import LIQUIDATION, SimulatedVenue
from livebot.simulator.venue_listings import Listing, Listings

Change = tuple[Listing, dict[str, Any]]


class BinanceAccount:
    """`now_ms` is the venue's time, `heard` is called when there is something new to settle and to tell."""

    def __init__(
        self,
        venue: SimulatedVenue,
        listings: Listings,
        settings: BinanceSettings,
        now_ms: Callable[[], int],
        heard: Callable[[], None],
    ) -> None:
        self.records = Records(settings.remember_ended)
        self.listings = listings
        self.settings = settings
        self.venue = venue
        self._now_ms = now_ms
        self._heard = heard
        self._holdings = {symbol: Holdings(ZERO) for symbol in venue.symbols}
        self._moved_ms: dict[str, int] = {}
        self._changes: list[Change] = []
        self._touched: dict[str, None] = {}
        self.sequence = 0
        self._take_up()
        self._unsubscribe = venue.subscribe(self._hear)

    def close(self) -> None:
        """Hear no more of the venue."""
        self._unsubscribe()

    # Asked by the interface

    def create(self, record: OrderRecord) -> None:
        """Send an order.  Raises Refused."""
        displaced = displaced_by(record, self.records.live(), self.held(record.listing.symbol))
        self._submit(record, "")
        self._tell_new(record)
        for other in displaced:
            self.withdraw(other, "EXPIRED")
        if record.live and record.time_in_force == "IOC":
            self.withdraw(record, "EXPIRED")
        self.settle()

    def create_algo(self, record: AlgoRecord) -> None:
        """Send a conditional order.  Raises Refused."""
        if record.close_position and not self.held(record.listing.symbol):
            text = "Time in Force (TIF) GTE can only be used with open positions."
            raise Refused(NOTHING_TO_CLOSE, text)
        others = [each for each in self.records.waiting() if each.waiting and each.listing is record.listing]
        if record.close_position and any(
            each.close_position and each.side == record.side and each.takes_profit == record.takes_profit
            for each in others
        ):
            text = "An open stop or take profit order with GTE and closePosition in the direction is existing."
            raise Refused(CLOSE_EXISTS, text)
        flags = (TAKE_PROFIT if record.takes_profit else "") + (CLOSE if record.close_position else "")
        self._submit(record, flags)
        self.settle()

    def amend(self, record: OrderRecord, quantity: Decimal, price: Decimal) -> None:
        """Change a working limit order.  Raises Refused."""
        before = record.request, record.quantity, record.updated_ms
        record.request = replace(record.request, quantity=quantity, price=price)
        record.quantity, record.updated_ms = quantity, self.now_ms()
        told = forms.order_message(record, "AMENDMENT", self.now_ms())
        place = len(self._changes)  # before what it trades at once
        outcome = self.venue.amend(record.request, self.now_ms())
        if isinstance(outcome, OrderRejected):
            record.request, record.quantity, record.updated_ms = before
            raise refusal_of(outcome, record.listing.instrument, spot=record.listing.spot)
        self._changes.insert(place, (record.listing, told))
        self.settle()

    def cancel(self, record: Either, *, cancel_id: str = "") -> None:
        """Take an order back that is live; `cancel_id` is what spot calls the cancellation."""
        if isinstance(record, OrderRecord):
            record.cancel_id = cancel_id
        self.withdraw(record, "CANCELED")
        self.settle()

    def settle(self) -> None:
        """Let orders end that have no position left to reduce: limits, and those that close a position whole."""
        while self._touched:
            symbol = next(iter(self._touched))
            del self._touched[symbol]
            held = self.held(symbol)
            for algo in self.records.waiting():
                if algo.request.symbol == symbol and algo.close_position and algo.waiting and not held:
                    self.withdraw(algo, "EXPIRED")
            for record in self.records.live():
                rests = record.request.symbol == symbol and record.order_type == "LIMIT"
                if rests and record.request.reduce_only and not reduces(record, held):
                    self.withdraw(record, "EXPIRED")

    def take_changes(self) -> list[Change]:
        """All that is to be told on private streams since the last call."""
        changes, self._changes = self._changes, []
        return changes

    def open_orders(self, listing: Listing | None, *, spot: bool) -> list[OrderRecord]:
        """Working orders of a market, or of one of its symbols, also those somebody else placed; by their number."""
        found = [*(each for each in self.look_around() if isinstance(each, OrderRecord)), *self.records.live()]
        wanted = [each for each in found if each.listing.spot is spot and listing in {None, each.listing}]
        return sorted(wanted, key=lambda record: record.number)

    def open_algos(self, listing: Listing | None) -> list[AlgoRecord]:
        """The same of algo orders."""
        found = [*(each for each in self.look_around() if isinstance(each, AlgoRecord)), *self.records.waiting()]
        return sorted((each for each in found if listing in {None, each.listing}), key=lambda record: record.number)

    def look_around(self) -> list[Either]:
        """Take up the orders that were placed in the venue itself; returns those of which it does not tell the id."""
        for order in self.venue.open_orders():
            if order.client_order_id is not None and not self.records.known(order.client_order_id):
                record = read_order(order, order.client_order_id, self.listings, self.venue)
                self._add(record)
                if isinstance(record, OrderRecord):
                    self._tell_new(record)
                else:
                    self._tell_algo(record)
        known = {record.number for record in self.records.live()}
        nameless = [
            read_order(order, f"~~web_{order.venue_order_id}", self.listings, self.venue)
            for order in working_namelessly(self.venue)
        ]
        return [record for record in nameless if record.number not in known]

    def recall(self, listing: Listing, client_id: str) -> None:
        """Know again what the venue remembers of an order that ended before this process began."""
        for key in possible_keys(client_id):
            order = self.venue.order(listing.symbol, key)
            if order is not None and not order.status.live and not self.records.known(key):
                fills = self.venue.fills(listing.symbol, key)
                for record in remembered(order, fills, self.listings, self.venue):
                    self._add(record)
                    self.records.retire(record)

    # What forms ask

    def now_ms(self) -> int:
        """The venue's time."""
        return self._now_ms()

    def held(self, symbol: str) -> Decimal:
        """The signed position."""
        return self._holdings[symbol].quantity(symbol)

    def holding(self, symbol: str) -> Holding | None:
        """The position with its cost."""
        return self._holdings[symbol].positions.get(symbol)

    def realised(self, symbol: str) -> Decimal:
        """What the symbol has earned since this process began, before fees."""
        return self._holdings[symbol].realised

    def moved_ms(self, symbol: str) -> int:
        """When the symbol's position last changed."""
        return self._moved_ms.get(symbol, self.venue.market.first_ms)

    # Carrying out

    def _submit(self, record: Either, flags: str) -> None:
        self.look_around()
        if self.records.in_use(record):
            twice = OrderRejected(client_order_id="", code="duplicate_client_order_id", text="", ts_ms=self.now_ms())
            raise refusal_of(twice, record.listing.instrument, spot=record.listing.spot)
        for key in self.records.keys(record.client_id, flags):
            record.request = replace(record.request, client_order_id=key)
            self._add(record)
            outcome = self.venue.submit(record.request, self.now_ms())
            if isinstance(outcome, OrderAccepted):
                self._number(record, outcome.venue_order_id)
                if isinstance(record, AlgoRecord):
                    self._tell_algo(record)
                return
            self.records.forget(record)
            if outcome.code != "duplicate_client_order_id":
                raise refusal_of(outcome, record.listing.instrument, spot=record.listing.spot)
        message = f"the client id {record.client_id} was used too often"
        raise AssertionError(message)

    def _add(self, record: Either) -> None:
        if isinstance(record, AlgoRecord):
            self.records.add_algo(record)
        else:
            self.records.add(record)

    def withdraw(self, record: Either, ending: str) -> None:
        """Take an order back, if it still works; `ending` is the status it ends with."""
        record.ending = ending
        try:
            self.venue.cancel(record.request.symbol, record.key, self.now_ms())
        except Rejected:
            return

    def _number(self, record: Either, venue_order_id: str) -> None:
        if not record.number:
            is_algo = isinstance(record, AlgoRecord)
            record.number = algo_number(venue_order_id) if is_algo else order_number(venue_order_id)

    # Hearing

    def _hear(self, symbol: str, event: OrderEvent) -> None:
        if isinstance(event, OrderFilled):
            self._filled(symbol, event.fill)
        elif isinstance(event, OrderEnded):
            self._ended(symbol, event)
        self._touched[symbol] = None
        self._heard()

    def _filled(self, symbol: str, fill: Fill) -> None:
        key = fill.client_order_id
        algo = self.records.algo(key)
        if algo is not None and algo.waiting:
            self._trigger(algo, fill.ts_ms)
        record = self.records.order(key) or self._stranger(symbol, fill)
        self._tell_new(record)
        holdings = self._holdings[symbol]
        before = holdings.realised
        signed = fill.quantity if fill.side.value == "buy" else -fill.quantity
        holdings.trade(symbol, signed, fill.price, fill.fee, fill.base_fee)
        self._moved_ms[symbol] = fill.ts_ms
        self.sequence += 1
        record.book(Trade(fill, holdings.realised - before, is_maker(record, fill), self.sequence))
        self._tell_trade(record)
        if algo is not None and algo.status == "TRIGGERING":
            algo.move("TRIGGERED", fill.ts_ms)
            self._tell_algo(algo)

    def _trigger(self, algo: AlgoRecord, ts_ms: int) -> OrderRecord:
        algo.triggered_ms = ts_ms
        algo.move("TRIGGERING", ts_ms)
        self._tell_algo(algo)
        quantity = abs(self.held(algo.request.symbol)) if algo.close_position else algo.quantity
        child = algo.child = OrderRecord(
            listing=algo.listing,
            request=algo.request,
            order_type="MARKET",
            client_id=algo.client_id,
            created_ms=ts_ms,
            quantity=quantity,
            close_position=algo.close_position,
            number=order_number(self._venue_order_id(algo)),
            algo=algo,
        )
        self.records.add(child)
        return child

    def _ended(self, symbol: str, event: OrderEnded) -> None:
        record = self.records.order(event.client_order_id)
        algo = self.records.algo(event.client_order_id)
        if record is not None:
            if record.live:
                record.status, record.updated_ms = record.ending or "EXPIRED", event.ts_ms
                self._tell_new(record)
                self._tell_end(record)
            self.records.retire(record)
        if algo is not None:
            self._end_algo(algo, event)

    def _end_algo(self, algo: AlgoRecord, event: OrderEnded) -> None:
        if algo.child is not None:
            algo.move("FINISHED", event.ts_ms)
        elif algo.ending:
            algo.move(algo.ending, event.ts_ms)
        elif event.status is OrderStatus.CANCELED and algo.request.reduce_only and not self.held(algo.request.symbol):
            algo.triggered_ms = event.ts_ms
            algo.move("TRIGGERING", event.ts_ms)
            self._tell_algo(algo)
            algo.reason = "Reduce Only reject"
            algo.move("REJECTED", event.ts_ms)
        else:
            algo.move("CANCELED", event.ts_ms)
        self.records.retire(algo)
        self._tell_algo(algo)

    # Telling

    def _tell(self, listing: Listing, message: dict[str, Any]) -> None:
        self._changes.append((listing, message))

    def _tell_new(self, record: OrderRecord) -> None:
        if record.told:
            return
        record.told = True
        self._number(record, self._venue_order_id(record))
        if record.listing.spot:
            self._tell(record.listing, spot_forms.report(record, "NEW", self.now_ms(), self.sequence))
            self._tell(record.listing, spot_forms.account_message(self))
        else:
            self._tell(record.listing, forms.order_message(record, "NEW", self.now_ms()))

    def _tell_trade(self, record: OrderRecord) -> None:
        trade = record.trades[-1]
        if record.listing.spot:
            self._tell(record.listing, spot_forms.report(record, "TRADE", self.now_ms(), self.sequence, trade))
            self._tell(record.listing, spot_forms.account_message(self))
        else:
            self._tell(record.listing, balances.account_message(self, record.listing))
            self._tell(record.listing, forms.trade_lite(record, trade, self.now_ms()))
            execution = "CALCULATED" if record.key.startswith(LIQUIDATION) else "TRADE"
            self._tell(record.listing, forms.order_message(record, execution, self.now_ms(), trade))

    def _tell_end(self, record: OrderRecord) -> None:
        if record.listing.spot:
            self._tell(record.listing, spot_forms.report(record, record.status, self.now_ms(), self.sequence))
            self._tell(record.listing, spot_forms.account_message(self))
        else:
            self._tell(record.listing, forms.order_message(record, record.status, self.now_ms()))

    def _tell_algo(self, algo: AlgoRecord) -> None:
        self._tell(algo.listing, forms.algo_message(algo, self.now_ms()))

    # Orders of others, and of before

    def _venue_order_id(self, record: Either) -> str:
        order = self.venue.order(record.request.symbol, record.key)
        return order.venue_order_id if order else ""

    def _stranger(self, symbol: str, fill: Fill) -> OrderRecord:
        """An order that somebody else placed in the same account, and that trades now."""
        order = self.venue.order(symbol, fill.client_order_id)
        if order is not None:
            record = read_order(replace(order, filled=ZERO), fill.client_order_id, self.listings, self.venue)
            self._add(record)
            return record if isinstance(record, OrderRecord) else self._trigger(record, fill.ts_ms)
        stranger = trader_of(fill, symbol, self.listings, self.venue)
        self.records.add(stranger)
        return stranger

    def _take_up(self) -> None:
        for position in self.venue.positions():
            cost = position.quantity * position.average_price
            self._holdings[position.symbol].positions[position.symbol] = Holding(position.quantity, cost)
            self._moved_ms[position.symbol] = self.venue.now_ms
        self.look_around()
        self.take_changes()  # that was told before
