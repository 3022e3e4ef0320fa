"""What the simulator's tests are made of: a market whose candles a test writes down, and orders in few words."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np

from livebot.core.inputs import OrderEnded, OrderEvent, OrderFilled
from livebot.core.market import MINUTE_MS, Candle, Instrument, OrderSide
from livebot.core.order import Fill, Leg, OrderKind, OrderRequest, VenueOrder
from livebot.core.series import CandleSeries
from livebot.simulator.matching import FillModel
from livebot.simulator.venue import SimulatedVenue, VenueSettings

START_MS = 1_700_000_040_000 - 1_700_000_040_000 % 86_400_000
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
EXACT = FillModel(slippage=Decimal(0))
D = Decimal

Prices = tuple[float, float, float, float]


def candle(index: int, prices: Prices) -> Candle:
    """The candle of a minute since the start."""
    return Candle(START_MS + index * MINUTE_MS, *prices, 1.0)


class WrittenMarket:
    """Candles as a test wrote them: open, high, low, close per minute, None for a gap."""

    def __init__(
        self, candles: Mapping[str, Sequence[Prices | None]], *, can_short: bool = True, name: str = "written"
    ) -> None:
        self._name = name
        self._can_short = can_short
        self._candles = {
            symbol: [None if each is None else candle(index, each) for index, each in enumerate(row)]
            for symbol, row in candles.items()
        }

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(self._candles)

    @property
    def first_ms(self) -> int:
        return START_MS

    @property
    def end_ms(self) -> int:
        return START_MS + min(len(row) for row in self._candles.values()) * MINUTE_MS

    def add(self, symbols: Sequence[str]) -> None:
        assert set(symbols) <= set(self._candles), symbols

    def identity(self, symbol: str) -> str:
        return self._name

    def instrument(self, symbol: str) -> Instrument:
        return Instrument(
            symbol=symbol,
            base=symbol.partition("/")[0],
            quote="USDT",
            tick_size=D("0.1"),
            lot_step=D("0.001"),
            minimum_quantity=D("0.001"),
            minimum_notional=D(5),
            taker_fee=D("0.0005"),
            maker_fee=D("0.0002"),
            can_short=self._can_short,
        )

    def price(self, symbol: str, minute_ms: int) -> float:
        index = (minute_ms - START_MS) // MINUTE_MS
        row = self._candles[symbol]
        if index < len(row) and (present := row[index]) is not None:
            return present.open
        return next(each.close for each in reversed(row[:index]) if each is not None)

    def candle(self, symbol: str, minute_ms: int) -> Candle | None:
        return self._candles[symbol][(minute_ms - START_MS) // MINUTE_MS]

    def candles(self, symbol: str, first_ms: int, stop_ms: int) -> CandleSeries:
        run: list[Candle] = []
        for each in self._candles[symbol]:
            if each is None:
                run = []
            elif first_ms <= each.ts_ms < stop_ms:
                run.append(each)
        columns = {
            name: np.array([getattr(each, name) for each in run], dtype=np.float64)
            for name in ("open", "high", "low", "close", "volume")
        }
        return CandleSeries(ts_ms=np.array([each.ts_ms for each in run], dtype=np.int64), **columns)

    def latest_close(self, symbol: str, now_ms: int) -> int:
        closes = [each.ts_ms + MINUTE_MS for each in self._candles[symbol] if each is not None]
        return max((close for close in closes if close <= now_ms), default=START_MS)


def flat(price: float) -> Prices:
    """A candle in which nothing moves."""
    return (price, price, price, price)


class Desk:
    """A venue over written candles, and all it has told."""

    def __init__(
        self,
        *prices: Prices | None,
        model: FillModel = EXACT,
        wallet: int = 10_000,
        can_short: bool = True,
        remember_ended: int = 100,
    ) -> None:
        market = WrittenMarket({BTC: prices}, can_short=can_short)
        settings = VenueSettings(wallet=D(wallet), fills=model, remember_ended=remember_ended)
        self.venue = SimulatedVenue(market, settings)
        self.events: list[OrderEvent] = []
        self.venue.subscribe(lambda _, event: self.events.append(event))

    def do(self, request: OrderRequest):
        return self.venue.submit(request, self.venue.now_ms)

    def step(self, minutes: int = 1) -> None:
        for _ in range(minutes):
            self.venue.step()

    def order(self, name: str) -> VenueOrder:
        """An order that is known."""
        found = self.venue.order(BTC, name)
        assert found is not None
        return found

    def trades(self) -> list[Fill]:
        """All so far."""
        return [event.fill for event in self.events if isinstance(event, OrderFilled)]

    def fills(self) -> list[tuple[str, Decimal, Decimal]]:
        """(order, quantity, price) of each trade so far."""
        return [(fill.client_order_id, fill.quantity, fill.price) for fill in self.trades()]

    def ends(self) -> list[tuple[str, str, Decimal]]:
        """(order, status, filled) of each end so far."""
        ended = [event for event in self.events if isinstance(event, OrderEnded)]
        return [(event.client_order_id, event.status.value, event.filled) for event in ended]

    def position(self) -> Decimal:
        return sum((each.quantity for each in self.venue.positions()), D(0))


def order(
    name: str,
    side: str,
    quantity: str,
    *,
    limit: str | None = None,
    stop: str | None = None,
    reduce: bool = False,
    post: bool = False,
    group: str | None = None,
    symbol: str = BTC,
) -> OrderRequest:
    """At the market unless a limit or a stop price is given."""
    kind = OrderKind.LIMIT if limit else OrderKind.STOP_MARKET if stop else OrderKind.MARKET
    return OrderRequest(
        client_order_id=name,
        symbol=symbol,
        leg=Leg.STOP if reduce and stop else Leg.TARGET if reduce and limit else Leg.EXIT if reduce else Leg.ENTRY,
        attempt=0,
        side=OrderSide(side),
        kind=kind,
        quantity=D(quantity),
        price=D(limit) if limit else None,
        trigger_price=D(stop) if stop else None,
        reduce_only=reduce,
        post_only=post,
        oco_group=group,
    )
