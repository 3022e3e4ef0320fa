"""A simulated venue: a market, an account, a time of its own, and a memory that outlives the process.

Rules of this file: the venue is what it has been told, in order: requests and minutes.  Each of them is carried out,
put into the memory's log, and only then answered and announced; taken up again, the log is carried out once more and
gives the same orders and trades.  Requests that were refused leave no trace.  Venue time stands still while no process
hosts the venue.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from typing import Any

from livebot.core.inputs import OrderAccepted, OrderEnded, OrderEvent, OrderFilled, OrderRejected
from livebot.core.market import MINUTE_MS, Candle, Instrument, OrderSide, decimal_of
from livebot.core.order import Account, Fill, Leg, OrderKind, OrderRequest, VenueOrder, VenuePosition
from livebot.errors import BadInput, Fatal, Rejected
from livebot.simulator.attached import superfluous
from livebot.simulator.book import FillShape
from livebot.simulator.market import Market
from livebot.simulator.matching import EngineState, FillModel, MatchingEngine
from livebot.simulator.memory import VenueMemory
from livebot.simulator.wire import Text, read, text_of

HAND = "hand"  # what client order ids of orders placed by hand begin with
LIQUIDATION = "autoclose-"  # and those of the venue's own, by which it closes what margin does not carry any more

EventSink = Callable[[str, OrderEvent], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSettings:
    """`start_ms` (a whole minute; None: the market's first) and `wallet` (quote) are for a new account only.

    `fees_in_base`: where one cannot be short, the fee of a purchase is taken from what was bought.
    `remember_ended` is how many ended orders can still be asked for; `compact_every` how much work, in requests to carry
    out again, a log may hold before a new snapshot replaces it.
    """

    start_ms: int | None = None
    wallet: Decimal = Decimal(10_000)
    fills: FillModel = field(default_factory=FillModel)
    fees_in_base: bool = False
    remember_ended: int = 2_000
    compact_every: int = 2_000


_SYMBOLS_LIKE_A_REQUEST = 40  # so many symbols' orders held against a candle take as long as one request


@dataclass(frozen=True, slots=True)
class Minute:
    """A minute that closed at `close_ms`, with the candles of all symbols that had one."""

    close_ms: int
    candles: tuple[tuple[str, Candle], ...]


class SimulatedVenue:
    """`minute_ms` is the opening time of the minute that is forming, `now_ms` the latest time anything happened.

    `shape_fills` may be set: it is asked how each new order is to fill (None: as the fill model has it).
    """

    def __init__(self, market: Market, settings: VenueSettings, memory: VenueMemory | None = None) -> None:
        """Take up the account from the memory, or begin a new one.

        Raises:
            BadInput: the start is outside the market, or the memory is of another market.
            Fatal: the memory is damaged.

        """
        self.market = market
        self._settings = settings
        self._memory = memory
        self._sinks: list[EventSink] = []
        self.shape_fills: Callable[[OrderRequest], FillShape | None] = lambda _: None
        self._prices: dict[str, Decimal] = {}
        self._unkept = 0  # work that only the log holds
        self._texts: dict[int, Text] = {}  # of ended orders, by number
        self._instruments = {symbol: _instrument(market, symbol, settings) for symbol in market.symbols}
        kept = memory.load() if memory else None
        if kept is None:
            self.minute_ms = self.now_ms = _start(market, settings)
            self._engine = self._make_engine(settings.fills, MatchingEngine.new_account(settings.wallet))
        else:
            self._resume(*kept)
        if memory:
            memory.compact(self._snapshot())

    @property
    def symbols(self) -> tuple[str, ...]:
        """All that are traded here."""
        return tuple(self._instruments)

    @property
    def ended(self) -> bool:
        """Whether the market's data is used up."""
        end_ms = self.market.end_ms
        return end_ms is not None and self.minute_ms >= end_ms

    def subscribe(self, sink: EventSink) -> Callable[[], None]:
        """Tell `sink` all order events from now on, with their symbols; returns what ends that."""
        self._sinks.append(sink)
        return lambda: self._sinks.remove(sink)

    def close(self) -> None:
        """Let go of the memory."""
        if self._memory:
            self._memory.close()

    def trade(self, symbol: str) -> None:
        """Trade a symbol too that the market has."""
        self._instruments[symbol] = self.market.instrument(symbol)

    # Requests

    def submit(self, request: OrderRequest, ts_ms: int, *, anonymous: bool = False) -> OrderAccepted | OrderRejected:
        """Accept or refuse an order at this time (not before `now_ms`).  Raises Fatal if it cannot be kept."""
        record: dict[str, Any] = {"do": "submit", "ts_ms": ts_ms, "request": request, "anonymous": anonymous}
        shape = self.shape_fills(request)
        return self._ask(record if shape is None else {**record, "shape": shape})

    def amend(self, request: OrderRequest, ts_ms: int) -> OrderAccepted | OrderRejected:
        """Change a working order.  Raises Fatal if that cannot be kept."""
        return self._ask({"do": "amend", "ts_ms": ts_ms, "request": request})

    def cancel(self, symbol: str, client_order_id: str, ts_ms: int) -> None:
        """End a working order.  Raises Rejected if there is none, Fatal if it cannot be kept."""
        ts_ms = self._inside(ts_ms)
        self._engine.cancel(symbol, client_order_id, ts_ms)
        self.now_ms = ts_ms
        record = {"do": "cancel", "ts_ms": ts_ms, "symbol": symbol, "client_order_id": client_order_id}
        self._keep_and_tell(record)

    def take_away_attached(self, stop: OrderRequest, ts_ms: int) -> None:
        """An own stop stands: end the attached ones that it replaces.  Raises Fatal if that cannot be kept."""
        for order_id in superfluous(stop, self._engine.book):
            self.cancel(stop.symbol, order_id, ts_ms)

    def place_by_hand(
        self, request: OrderRequest, ts_ms: int, *, anonymous: bool = True
    ) -> OrderAccepted | OrderRejected:
        """An order of somebody else in the same account; `anonymous`: the venue reports no client order id for it."""
        return self.submit(request, ts_ms, anonymous=anonymous)

    def close_by_hand(self, symbol: str, ts_ms: int, *, by: str = HAND) -> OrderAccepted | OrderRejected:
        """Somebody else closes the symbol's position at the market.  Raises Rejected if it is flat."""
        held = self._engine.holdings.quantity(symbol)
        if not held:
            message = f"{symbol}: there is no position to close"
            raise Rejected(message)
        return self.submit(
            OrderRequest(
                client_order_id=f"{by}{self._engine.orders_made + 1:012d}",
                symbol=symbol,
                leg=Leg.EXIT,
                attempt=0,
                side=OrderSide.SELL if held > 0 else OrderSide.BUY,
                kind=OrderKind.MARKET,
                quantity=abs(held),
                reduce_only=True,
            ),
            ts_ms,
            anonymous=True,
        )

    def step(self) -> Minute:
        """Close the minute: orders trade against its candles, their events are told, and the next minute begins.

        Raises:
            Fatal: it could not be kept.

        """
        candles = tuple(self._candles(self._instruments))
        self._unkept += len(self._engine.book.working_symbols()) // _SYMBOLS_LIKE_A_REQUEST
        close_ms = self._match(dict(candles))
        self._keep_and_tell({"do": "minute", "ts_ms": close_ms})
        return Minute(close_ms, candles)

    # Reports

    def instrument(self, symbol: str) -> Instrument | None:
        """None if it is not traded here."""
        return self._instruments.get(symbol)

    def price(self, symbol: str) -> Decimal:
        """The present price."""
        price = self._prices.get(symbol)
        if price is None:
            price = self._prices[symbol] = decimal_of(self.market.price(symbol, self.minute_ms))
        return price

    def order(self, symbol: str, client_order_id: str) -> VenueOrder | None:
        """Present state, None if unknown; anonymous orders cannot be asked for."""
        order = self._engine.book.find(symbol, client_order_id)
        return None if order is None or order.anonymous else order.report()

    def fills(self, symbol: str, client_order_id: str) -> tuple[Fill, ...]:
        """Trades of one order, oldest first."""
        order = self._engine.book.find(symbol, client_order_id)
        return tuple(order.fills) if order else ()

    def open_orders(self) -> tuple[VenueOrder, ...]:
        """All working orders, oldest first."""
        working = sorted(self._engine.book.all_working(), key=lambda order: order.number)
        return tuple(order.report() for order in working)

    def positions(self) -> tuple[VenuePosition, ...]:
        """All that are not flat."""
        return self._engine.positions()

    def account(self) -> Account:
        """At present prices."""
        return self._engine.account()

    def totals(self) -> tuple[Decimal, Decimal]:
        """Realised PnL before fees, and fees, since the account began."""
        return self._engine.holdings.realised, self._engine.holdings.fees

    # Carrying out

    def _ask(self, record: dict[str, Any]) -> OrderAccepted | OrderRejected:
        record["ts_ms"] = self._inside(record["ts_ms"])
        outcome = self._carry_out_request(record)
        if isinstance(outcome, OrderAccepted):
            self._keep_and_tell({**record, "outcome": outcome.venue_order_id})
        return outcome

    def _carry_out_request(self, record: dict[str, Any]) -> OrderAccepted | OrderRejected:
        request, ts_ms = record["request"], record["ts_ms"]
        if record["do"] == "amend":
            outcome = self._engine.amend(request, ts_ms)
        else:
            outcome = self._engine.submit(request, ts_ms, anonymous=record["anonymous"], shape=record.get("shape"))
        if isinstance(outcome, OrderAccepted):
            self.now_ms = ts_ms
        return outcome

    def _inside(self, ts_ms: int) -> int:
        """Venue time never goes back, and stays inside the forming minute."""
        return max(self.now_ms, min(ts_ms, self.minute_ms + MINUTE_MS - 1))

    def _match(self, candles: dict[str, Candle]) -> int:
        close_ms = self.minute_ms + MINUTE_MS
        for symbol in sorted(self._engine.book.working_symbols()):  # whatever order the orders came in
            if symbol in candles:
                self._engine.match(symbol, candles[symbol], close_ms)
        self.minute_ms = self.now_ms = close_ms
        self._prices.clear()
        return close_ms

    def _candles(self, symbols: Iterable[str]) -> Iterator[tuple[str, Candle]]:
        for symbol in symbols:
            candle = self.market.candle(symbol, self.minute_ms)
            if candle is not None:
                yield symbol, candle

    def _keep_and_tell(self, record: dict[str, object]) -> None:
        if self._memory:
            self._memory.append(record)
            self._unkept += 1
            if self._unkept >= self._settings.compact_every:
                self._memory.compact(self._snapshot())
                self._unkept = 0
        for symbol, event in self._engine.take_events():
            for sink in self._sinks:
                sink(symbol, event)
            if self._memory:
                self._write_down(symbol, event)

    # Remembering

    def _write_down(self, symbol: str, event: OrderEvent) -> None:
        """An order that has ended changes no more: its text is made when it ends, and not for thousands at a snapshot."""
        if isinstance(event, OrderFilled | OrderEnded):
            order_id = event.fill.client_order_id if isinstance(event, OrderFilled) else event.client_order_id
            order = self._engine.book.find(symbol, order_id)
            if order is not None and not order.status.live:
                self._texts[order.number] = text_of(order)

    def _make_engine(self, model: FillModel, state: EngineState) -> MatchingEngine:
        return MatchingEngine(model, state, self.instrument, self.price, remember_ended=self._settings.remember_ended)

    def _snapshot(self) -> dict[str, object]:
        return {
            "minute_ms": self.minute_ms,
            "now_ms": self.now_ms,
            "model": self._engine.model,
            "markets": {symbol: self.market.identity(symbol) for symbol in self._instruments},
            "instruments": self._instruments,
            "account": self._account(),
        }

    def _account(self) -> dict[str, object]:
        """The engine's state, ended orders as the text that was made of them."""
        state = self._engine.state()
        before, self._texts = self._texts, {}
        orders: list[object] = []
        for order in state.orders:
            if order.status.live:
                orders.append(order)
            else:
                text = self._texts[order.number] = before.get(order.number) or text_of(order)
                orders.append(text)
        return {field.name: getattr(state, field.name) for field in fields(state)} | {"orders": orders}

    def _resume(self, snapshot: dict[str, Any], records: list[dict[str, Any]]) -> None:
        try:
            state = read(EngineState, snapshot["account"])
            self.minute_ms, self.now_ms = int(snapshot["minute_ms"]), int(snapshot["now_ms"])
            self.market.add(_symbols_in_use(state, records))
            self._check_markets(snapshot["markets"])
            # The log is carried out as it was: under the fill model, the fees and the steps of that time.
            present = {symbol: self.market.instrument(symbol) for symbol in self.market.symbols}
            self._instruments = present | read(dict[str, Instrument], snapshot["instruments"])
            self._engine = self._make_engine(read(FillModel, snapshot["model"]), state)
            for record in records:
                self._repeat(record)
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise _unreadable(f"{type(error).__name__}: {error}") from error
        self._engine.take_events()
        self._engine.model = self._settings.fills
        self._instruments = present

    def _check_markets(self, kept: dict[str, str]) -> None:
        for symbol in self.market.symbols:
            present = self.market.identity(symbol)
            if kept.get(symbol, present) != present:
                message = (
                    f"the simulated venue's memory was made with other candles of {symbol} ({kept[symbol]}) than now "
                    f"configured ({present}): configure that again, or remove the memory's folder to begin anew"
                )
                raise BadInput(message)

    def _repeat(self, record: dict[str, Any]) -> None:
        if record["do"] == "minute":
            self._match(dict(self._candles(self._engine.book.working_symbols())))
            same = self.now_ms == record["ts_ms"]
        else:
            same = self._repeat_request(record)
        if not same:
            raise _unreadable(f"a {record['do']} at {record['ts_ms']} has another result now")

    def _repeat_request(self, record: dict[str, Any]) -> bool:
        if record["do"] == "cancel":
            try:
                self._engine.cancel(record["symbol"], record["client_order_id"], record["ts_ms"])
            except Rejected:
                return False
            self.now_ms = int(record["ts_ms"])
            return True
        shape = read(FillShape, record["shape"]) if "shape" in record else None
        outcome = self._carry_out_request({**record, "request": read(OrderRequest, record["request"]), "shape": shape})
        return isinstance(outcome, OrderAccepted) and outcome.venue_order_id == record["outcome"]


def _symbols_in_use(state: EngineState, records: list[dict[str, Any]]) -> list[str]:
    """Those that must be traded here for the account's sake, configured or not."""
    used = {order.request.symbol for order in state.orders if order.status.live} | set(state.positions)
    return sorted(used | {record["request"]["symbol"] for record in records if "request" in record})


def _instrument(market: Market, symbol: str, settings: VenueSettings) -> Instrument:
    listed = market.instrument(symbol)
    return replace(listed, fee_in_base=True) if settings.fees_in_base and not listed.can_short else listed


def _start(market: Market, settings: VenueSettings) -> int:
    start_ms = market.first_ms if settings.start_ms is None else settings.start_ms
    if start_ms % MINUTE_MS:
        message = f"start {start_ms} of the simulated venue is not a whole minute"
        raise BadInput(message)
    if start_ms < market.first_ms or (market.end_ms is not None and start_ms >= market.end_ms):
        span = f"{market.first_ms} to {market.end_ms}"
        message = f"start {start_ms} of the simulated venue is outside its candles ({span})"
        raise BadInput(message)
    return start_ms


def _unreadable(why: str) -> Fatal:
    return Fatal(f"the simulated venue's memory cannot be taken up ({why}); remove its folder to begin anew")
