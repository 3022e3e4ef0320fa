"""The matching engine of a simulated venue: one account, one net position per symbol.

Rules of this file: no clock, no chance, no input or output; the same calls give the same trades.  Money is Decimal.

How orders fill.  The venue's time is inside a candle that is still forming, and the price is that candle's open.

- A market order fills at once, at the price and `slippage` worse.  So does a limit order that crosses the price when it
  comes in or is amended, but at the price itself, paying the taker's fee.
- When a candle closes, orders that rest are held against its open, high, low and close; a fill's time is the close.  An
  order counts as placed at the candle's start even if it came in during the minute: an approximation, because the
  way a candle went between its four prices is not known.
- Stops come before limits, the nearer to the open first: where stop and target both lie inside one candle, the stop is
  what happened.  A stop fills at its trigger, or at the open if that is already beyond it (a gap), `slippage` worse.
- A limit fills at its own price as the maker, also over a gap, when the candle touches it (`through`: only when the
  candle passes it).
- With `partial_probability` an order is done in two to `partial_pieces` pieces.  A running order (market, or triggered
  stop) does one piece where it starts and one at each following close; a limit one with each candle that reaches it.
- Where fees are taken in coins (`fee_in_base`), a sale locks what it sells, and more than is free is refused.
- A reduce-only order, or any sale on a market that cannot be short, never trades more than the position; what is left
  when the position is flat is cancelled.  If nothing can be reduced when the order comes in, it is refused.
- In an OCO group, what one order fills is taken off the others; one with nothing left is cancelled.  (Without `oco`
  groups mean nothing, and orders that only reduce race each other.)
- For each fill of an order with an attached stop a stop of the same quantity appears, from the next candle on; when the
  position is flat those are gone.
- Opening needs free margin: notional over `leverage` (1 where one cannot be short).  There is no liquidation.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from hashlib import blake2s

from livebot.core.inputs import OrderAccepted, OrderEnded, OrderEvent, OrderFilled, OrderRejected
from livebot.core.market import Candle, Instrument, OrderSide, decimal_of
from livebot.core.order import ZERO, Account, Fill, OrderKind, OrderRequest, OrderStatus, VenuePosition
from livebot.errors import Rejected
from livebot.simulator.answers import accepted, rejected, unknown_order
from livebot.simulator.attached import of_flat_symbol, stop_for
from livebot.simulator.book import Book, BookOrder, FillShape
from livebot.simulator.checks import Refusal, crosses, only_reduces, refuse_shape, stop_start
from livebot.simulator.holdings import Holding, Holdings, fees_of

_STOP, _LIMIT, _RUNNING = range(3)  # the order of events within a candle


@dataclass(frozen=True, slots=True, kw_only=True)
class FillModel:
    """How orders fill; see the head of this file.  `slippage` is a ratio of the price."""

    slippage: Decimal = Decimal("0.0002")
    through: bool = False
    partial_probability: float = 0.0
    partial_pieces: int = 3
    leverage: Decimal = Decimal(10)
    seed: int = 1
    oco: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineState:
    """All of an account, to be kept and taken up again."""

    wallet: Decimal
    realised: Decimal
    fees: Decimal
    positions: dict[str, Holding]
    orders: list[BookOrder]
    orders_made: int
    trades_made: int


class MatchingEngine:
    """Orders in, events out.  `instrument` gives None for a symbol the venue lacks, `price` is the present price."""

    def __init__(
        self,
        model: FillModel,
        state: EngineState,
        instrument: Callable[[str], Instrument | None],
        price: Callable[[str], Decimal],
        *,
        remember_ended: int,
    ) -> None:
        """Take up an account."""
        self.model = model
        self.book = Book(state.orders, remember_ended=remember_ended)
        self.holdings = Holdings(state.wallet, dict(state.positions), state.realised, state.fees)
        self._instrument = instrument
        self._price = price
        self.orders_made = state.orders_made
        self._trades_made = state.trades_made
        self._events: list[tuple[str, OrderEvent]] = []

    @staticmethod
    def new_account(wallet: Decimal) -> EngineState:
        """Money, and nothing else."""
        return EngineState(
            wallet=wallet, realised=ZERO, fees=ZERO, positions={}, orders=[], orders_made=0, trades_made=0
        )

    def state(self) -> EngineState:
        """All of it; shares its objects with the engine, so write it out before the next call."""
        held = self.holdings
        return EngineState(
            wallet=held.wallet,
            realised=held.realised,
            fees=held.fees,
            positions=held.positions,
            orders=self.book.everything(),
            orders_made=self.orders_made,
            trades_made=self._trades_made,
        )

    def take_events(self) -> list[tuple[str, OrderEvent]]:
        """What happened since the last call, oldest first, each with its symbol."""
        events, self._events = self._events, []
        return events

    # Requests

    def submit(
        self, request: OrderRequest, ts_ms: int, *, anonymous: bool = False, shape: FillShape | None = None
    ) -> OrderAccepted | OrderRejected:
        """Accept or refuse an order; what trades at once is among the events.  `shape` None is as the fill model has it."""
        refusal = self._refuse_new(request)
        if refusal is not None:
            return rejected(request, refusal, ts_ms)
        self.orders_made += 1
        order = BookOrder(
            number=self.orders_made,
            request=request,
            anonymous=anonymous,
            pieces_left=shape.pieces if shape else self._pieces(request.client_order_id),
            at_once=shape is not None and shape.at_once,
            running=request.kind is OrderKind.MARKET,
        )
        self.book.add(order)
        self._trade_at_once(order, ts_ms)
        return accepted(order, request, ts_ms)

    def amend(self, request: OrderRequest, ts_ms: int) -> OrderAccepted | OrderRejected:
        """Change the working order with this client id; if refused it stays as it was."""
        order = self.book.find(request.symbol, request.client_order_id)
        refusal = self._refuse_amendment(order, request)
        if order is None or refusal is not None:
            return rejected(request, refusal or unknown_order(request), ts_ms)
        order.change(
            replace(
                order.request,
                quantity=request.quantity,
                price=request.price,
                trigger_price=request.trigger_price,
            )
        )
        self._trade_at_once(order, ts_ms)
        return accepted(order, request, ts_ms)

    def cancel(self, symbol: str, client_order_id: str, ts_ms: int) -> None:
        """End a working order.  Raises Rejected if there is none with this id."""
        order = self.book.find(symbol, client_order_id)
        if order is None or order.status is not OrderStatus.WORKING:
            raise Rejected(f"{symbol}: there is no working order {client_order_id}")
        self._end(order, OrderStatus.CANCELED, ts_ms)

    def match(self, symbol: str, candle: Candle, ts_ms: int) -> None:
        """Hold the symbol's orders against a candle that closed at `ts_ms`."""
        due = [
            (self._turn(order, candle), order)
            for order in self.book.working(symbol)
            if order.running or self._reached(order, candle)
        ]
        for (phase, _, _), order in sorted(due, key=lambda pair: pair[0]):
            if order.status is not OrderStatus.WORKING:
                continue  # an earlier one of this candle ended it
            if phase == _LIMIT:
                self._fill(order, _price_of(order), ts_ms, maker=True)
                continue
            start = stop_start(order.request, candle) if phase == _STOP else decimal_of(candle.close)
            order.running = True
            self._fill(order, self._slipped(order, start), ts_ms, maker=False)

    # Reports

    def positions(self) -> tuple[VenuePosition, ...]:
        """All that are not flat, by symbol."""
        return tuple(
            VenuePosition(symbol=symbol, quantity=held.quantity, average_price=held.average_price)
            for symbol, held in sorted(self.holdings.positions.items())
        )

    def account(self) -> Account:
        """At present prices."""
        return Account(wallet=self.holdings.wallet, equity=self._equity())

    # Refusing

    def _refuse_new(self, request: OrderRequest) -> Refusal | None:
        instrument = self._instrument(request.symbol)
        if instrument is None:
            return Refusal("unknown_symbol", f"there is no {request.symbol} here")
        if self.book.knows(request.client_order_id):
            return Refusal("duplicate_client_order_id", f"{request.client_order_id} was used before")
        return (
            refuse_shape(request, instrument, self._price(request.symbol))
            or self._refuse_reduction(request, instrument)
            or self._refuse_funds(request, instrument)
        )

    def _refuse_amendment(self, order: BookOrder | None, request: OrderRequest) -> Refusal | None:
        if order is None or order.status is not OrderStatus.WORKING:
            return unknown_order(request)
        present = order.request
        if (present.side, present.kind) != (request.side, request.kind):
            return Refusal("invalid_amendment", "side and kind of an order cannot be changed")
        if request.quantity <= order.filled:
            return Refusal("quantity_below_filled", f"{order.filled} has filled, it cannot become {request.quantity}")
        instrument = self._instrument(request.symbol)
        assert instrument is not None  # it has an order
        if order.running:
            unchanged = request.trigger_price == present.trigger_price
            text = f"{request.client_order_id} has been triggered, its trigger cannot be changed"
            return None if unchanged else Refusal("already_triggered", text)
        more = request.quantity - order.request.quantity
        if instrument.fee_in_base and order.sign < 0 and more > self._free_coins(request.symbol):
            return Refusal("insufficient_funds", f"there is not so much free {instrument.base} to sell")
        return refuse_shape(request, instrument, self._price(request.symbol)) or self._refuse_funds(
            request, instrument, instead_of=order
        )

    def _refuse_reduction(self, request: OrderRequest, instrument: Instrument) -> Refusal | None:
        if not only_reduces(request, instrument):
            return None
        if instrument.fee_in_base and request.quantity > self._free_coins(request.symbol):
            return Refusal("insufficient_funds", f"there is not so much free {instrument.base} to sell")
        if self._reducible(request) > 0:
            return None
        if request.reduce_only:
            return Refusal("reduce_only", f"there is no position in {request.symbol} that this would reduce")
        return Refusal("insufficient_funds", f"there is no {instrument.base} to sell")

    def _free_coins(self, symbol: str) -> Decimal:
        """What no sale has locked."""
        locked = (order.remaining for order in self.book.working(symbol) if order.sign < 0)
        return self.holdings.quantity(symbol) - sum(locked, ZERO)

    def _refuse_funds(
        self, request: OrderRequest, instrument: Instrument, *, instead_of: BookOrder | None = None
    ) -> Refusal | None:
        if only_reduces(request, instrument):
            return None
        adding = request.quantity - (instead_of.filled if instead_of else ZERO) - self._reducible(request)
        price = request.price or request.trigger_price or self._price(request.symbol)
        needed = max(adding, ZERO) * price / self._leverage(instrument)
        free = self._free_margin(leaving_out=instead_of)
        if needed <= free:
            return None
        return Refusal("insufficient_funds", f"needs {needed:.2f} {instrument.quote}, {free:.2f} is free")

    def _equity(self) -> Decimal:
        held = self.holdings
        return held.wallet + sum((held.unrealised(symbol, self._price(symbol)) for symbol in held.positions), ZERO)

    def _free_margin(self, *, leaving_out: BookOrder | None) -> Decimal:
        equity, used = self.holdings.wallet, ZERO
        for symbol, held in self.holdings.positions.items():
            worth = held.quantity * self._price(symbol)
            equity += worth - held.cost
            used += abs(worth) / self._leverage(self._known(symbol))
        for order in self.book.all_working():
            instrument = self._known(order.request.symbol)
            if order is not leaving_out and not only_reduces(order.request, instrument):
                price = order.request.price or order.request.trigger_price or self._price(instrument.symbol)
                used += order.remaining * price / self._leverage(instrument)
        return equity - used

    def _leverage(self, instrument: Instrument) -> Decimal:
        return self.model.leverage if instrument.can_short else Decimal(1)

    def _known(self, symbol: str) -> Instrument:
        instrument = self._instrument(symbol)
        assert instrument is not None  # it has an order or a position
        return instrument

    # Trading

    def _trade_at_once(self, order: BookOrder, ts_ms: int) -> None:
        price = self._price(order.request.symbol)
        if order.request.kind is OrderKind.MARKET and not order.fills:
            self._fill(order, self._slipped(order, price), ts_ms, maker=False)
        elif crosses(order.request, price):
            self._fill(order, price, ts_ms, maker=False)

    def _reached(self, order: BookOrder, candle: Candle) -> bool:
        # Floats: a price on the tick and a candle's price are the nearest floats of the same decimals, so that equal
        # prices are equal here too.
        falls = (order.sign < 0) is (order.request.kind is OrderKind.STOP_MARKET)
        if order.request.kind is OrderKind.LIMIT and self.model.through:
            return candle.low < order.level if falls else candle.high > order.level
        return candle.low <= order.level if falls else candle.high >= order.level

    def _turn(self, order: BookOrder, candle: Candle) -> tuple[int, float, int]:
        if order.running:
            return (_RUNNING, 0.0, order.number)
        phase = _STOP if order.request.kind is OrderKind.STOP_MARKET else _LIMIT
        return (phase, abs(order.level - candle.open), order.number)

    def _slipped(self, order: BookOrder, price: Decimal) -> Decimal:
        instrument = self._known(order.request.symbol)
        if order.request.side is OrderSide.BUY:
            return instrument.round_price_up(price * (1 + self.model.slippage))
        return max(instrument.round_price_down(price * (1 - self.model.slippage)), instrument.tick_size)

    def _pieces(self, client_order_id: str) -> int:
        if self.model.partial_probability <= 0:
            return 1
        # By its own name, never by its turn: orders of different symbols come in any order, and must not change by that.
        digest = blake2s(f"{self.model.seed}|{client_order_id}".encode(), digest_size=8).digest()
        chance, choice = int.from_bytes(digest[:4], "big") / 2**32, digest[4]
        if chance >= self.model.partial_probability:
            return 1
        return 2 + choice % max(self.model.partial_pieces - 1, 1)

    def _piece(self, order: BookOrder, instrument: Instrument) -> Decimal:
        quantity = order.remaining
        if order.pieces_left > 1:
            quantity = max(instrument.round_quantity(quantity / order.pieces_left), instrument.lot_step)
        if only_reduces(order.request, instrument):
            quantity = min(quantity, self._reducible(order.request))
        return quantity

    def _reducible(self, request: OrderRequest) -> Decimal:
        """How much of the position this order's side closes; never negative."""
        held = self.holdings.quantity(request.symbol)
        return max(held if request.side is OrderSide.SELL else -held, ZERO)

    def _fill(self, order: BookOrder, price: Decimal, ts_ms: int, *, maker: bool) -> None:
        request, instrument = order.request, self._known(order.request.symbol)
        quantity = self._piece(order, instrument)
        if quantity <= 0:
            self._end(order, OrderStatus.CANCELED, ts_ms)
            return
        rate = instrument.maker_fee if maker else instrument.taker_fee
        self._trades_made += 1
        fee, base_fee = fees_of(instrument, request.side, quantity, price, rate)
        fill = Fill(
            trade_id=f"{self._trades_made:012d}",
            client_order_id=request.client_order_id,
            ts_ms=ts_ms,
            side=request.side,
            price=price,
            quantity=quantity,
            fee=fee,
            base_fee=base_fee,
        )
        self.holdings.trade(request.symbol, order.sign * quantity, price, fee, base_fee)
        order.fills.append(fill)
        order.filled += quantity
        order.pieces_left = max(order.pieces_left - 1, 1)
        self._events.append((request.symbol, OrderFilled(fill, ts_ms)))
        if request.attached_stop is not None and self.holdings.quantity(request.symbol) * order.sign > 0:
            self.orders_made += 1
            self.book.add(stop_for(order, quantity, self.orders_made))
        if not order.remaining:
            self._end(order, OrderStatus.FILLED, ts_ms)
        elif only_reduces(request, instrument) and not self._reducible(request):
            self._end(order, OrderStatus.CANCELED, ts_ms)
        if request.oco_group is not None and self.model.oco:
            self._take_off_the_others(order, quantity, ts_ms)
        if order.at_once and order.status is OrderStatus.WORKING:
            self._fill(order, price, ts_ms, maker=maker)
        if not self.holdings.quantity(request.symbol):
            for stop in of_flat_symbol(self.book.working(request.symbol)):
                self._end(stop, OrderStatus.CANCELED, ts_ms)

    def _take_off_the_others(self, order: BookOrder, quantity: Decimal, ts_ms: int) -> None:
        for other in self.book.working(order.request.symbol):
            if other is order or other.request.oco_group != order.request.oco_group:
                continue
            left = other.remaining - quantity
            if left <= 0:
                self._end(other, OrderStatus.CANCELED, ts_ms)
            else:
                other.change(replace(other.request, quantity=other.filled + left))

    def _end(self, order: BookOrder, status: OrderStatus, ts_ms: int) -> None:
        self.book.end(order, status)
        request = order.request
        self._events.append(
            (
                request.symbol,
                OrderEnded(client_order_id=request.client_order_id, status=status, filled=order.filled, ts_ms=ts_ms),
            )
        )


def _price_of(order: BookOrder) -> Decimal:
    assert order.request.price is not None  # a limit order
    return order.request.price
