"""The account of a backtest: the simulated venue's own matching engine, moved from minute to minute by the run.

Rules of this file: how orders fill is the engine's business alone; the present price is the open of the minute that is
forming, and nothing else of that minute is known here, save what a late order pays.
"""

from collections.abc import Mapping
from decimal import Decimal

from livebot.backtest.plan import BacktestPlan
from livebot.backtest.tape import Tape
from livebot.core.inputs import OrderAbsent, OrderAccepted, OrderEnded, OrderEvent, OrderFilled, OrderRejected
from livebot.core.market import MINUTE_MS, OrderSide, decimal_of
from livebot.core.order import OrderKind, OrderRequest
from livebot.errors import Rejected
from livebot.simulator.book import BookOrder
from livebot.simulator.matching import MatchingEngine

REMEMBERED = 256  # orders that ended; the engine needs them to recognise an id that was used before


class Account:
    """`minute` is the one that is forming; the close before it is now.  What it tells of a symbol is put into its inbox."""

    def __init__(self, plan: BacktestPlan, tapes: Mapping[str, Tape]) -> None:
        """Only money."""
        self._tapes = tapes
        self.inboxes: dict[str, list[OrderEvent]] = {symbol: [] for symbol in tapes}
        self._latency = plan.latency_ms / MINUTE_MS
        self._late: OrderSide | None = None  # the side of a market order that is arriving
        self._prices: dict[str, Decimal] = {}
        self.minute = 0
        self.engine = MatchingEngine(
            plan.fills,
            MatchingEngine.new_account(plan.wallet),
            plan.instruments.get,
            self.price,
            remember_ended=REMEMBERED,
        )

    @property
    def now_ms(self) -> int:
        """The time of the last close."""
        return self.minute * MINUTE_MS

    @property
    def wallet(self) -> Decimal:
        """Without unrealised PnL, in quote."""
        return self.engine.holdings.wallet

    def move(self, minute: int) -> None:
        """This minute begins to form."""
        self.minute = minute
        self._prices.clear()

    def price(self, symbol: str) -> Decimal:
        """The present price."""
        if self._late is not None:
            return decimal_of(self._late_price(symbol, self._late))
        price = self._prices.get(symbol)
        if price is None:
            price = self._prices[symbol] = decimal_of(self._tapes[symbol].price(self.minute))
        return price

    def _late_price(self, symbol: str, side: OrderSide) -> float:
        """What an order pays that arrives late: the open, and its share of how far the minute goes against it."""
        tape, minute = self._tapes[symbol], self.minute
        price = tape.price(minute)
        if minute >= tape.stop:
            return price
        at = minute - tape.first
        worst = tape.high.item(at) if side is OrderSide.BUY else tape.low.item(at)
        return price + (worst - price) * self._latency

    def last_close(self, symbol: str, minute: int) -> float:
        """The last close that there was by the end of this minute."""
        return self._tapes[symbol].last_close(minute)

    # Requests; what follows of them is in the inbox before the answer is given.

    def submit(self, request: OrderRequest) -> OrderAccepted | OrderRejected:
        """Send an order."""
        if self._latency and request.kind is OrderKind.MARKET:
            self._late = request.side
        try:
            outcome = self.engine.submit(request, self.now_ms)
        finally:
            self._late = None
        self._tell()
        return outcome

    def amend(self, request: OrderRequest) -> OrderAccepted | OrderRejected:
        """Change a working order."""
        outcome = self.engine.amend(request, self.now_ms)
        self._tell()
        return outcome

    def cancel(self, symbol: str, client_order_id: str) -> bool:
        """Take an order back; False if it does not work any more."""
        try:
            self.engine.cancel(symbol, client_order_id, self.now_ms)
        except Rejected:
            return False
        self._tell()
        return True

    def match(self, symbol: str, minute: int) -> bool:
        """Hold the symbol's orders against the candle of this minute, which has closed; says whether anything came of it."""
        tape = self._tapes[symbol]
        if not self.engine.book.working(symbol) or not tape.has(minute):
            return False
        self.engine.match(symbol, tape.candle(minute), self.now_ms)
        return self._tell()

    def _tell(self) -> bool:
        events = self.engine.take_events()
        for symbol, event in events:
            self.inboxes[symbol].append(event)
        return bool(events)

    # Reports

    def working(self, symbol: str) -> list[BookOrder]:
        """The symbol's orders that may still trade."""
        return self.engine.book.working(symbol)

    def story(self, request: OrderRequest) -> tuple[OrderEvent, ...]:
        """What the venue knows of an order, as events in the order in which they happened."""
        order = self.engine.book.find(request.symbol, request.client_order_id)
        if order is None:
            return (OrderAbsent(client_order_id=request.client_order_id, ts_ms=self.now_ms),)
        there = order.request
        events: list[OrderEvent] = [
            OrderAccepted(
                client_order_id=there.client_order_id,
                venue_order_id=order.venue_order_id,
                quantity=there.quantity,
                price=there.price,
                trigger_price=there.trigger_price,
                ts_ms=self.now_ms,
            )
        ]
        events += [OrderFilled(fill, fill.ts_ms) for fill in order.fills]
        if not order.status.live:
            order_id, filled = there.client_order_id, order.filled
            events.append(OrderEnded(client_order_id=order_id, status=order.status, filled=filled, ts_ms=self.now_ms))
        return tuple(events)
