"""What the kernel is told in practice: signals that live on a simulated venue, every step on record.

The smallest of drivers: one symbol after another, each with a trailing stop and a break-even move, trades every fifteen
minutes as long as the market lasts.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from livebot.core.candidate import Refused
from livebot.core.entry import BreakEven, Entry, ExitPlan, Trailing
from livebot.core.inputs import (
    Admitted,
    Amend,
    Cancel,
    CandleClosed,
    Input,
    OrderEvent,
    OrderFilled,
    Submit,
    SymbolState,
)
from livebot.core.kernel import step
from livebot.core.limits import Limits
from livebot.core.market import MINUTE_MS, Instrument, Side
from livebot.core.propose import Circumstances, propose
from livebot.core.risk import Approved
from livebot.core.rules import EntryRules, FixedNotional, Rules
from livebot.core.signal import Idle
from livebot.errors import Rejected
from livebot.runtime.portfolio.portfolio import Portfolio
from livebot.simulator.matching import FillModel
from livebot.simulator.synthetic import SyntheticMarket, SyntheticSettings
from livebot.simulator.venue import SimulatedVenue, VenueSettings
from tests.benchmarks.configs import WALLET, symbols_of

STRATEGY = "ema_cross"
EXITS = ExitPlan(
    trailing=Trailing(distance=Decimal("0.01"), after=Decimal("0.005")),
    break_even=BreakEven(after=Decimal("0.008"), offset=Decimal("0.001")),
)
_EVERY_MS = 15 * MINUTE_MS
_START_MS = 1_767_225_600_000


@dataclass(frozen=True, slots=True)
class StepTaken:
    """The arguments of one call of `step`."""

    state: SymbolState
    event: Input
    rules: Rules


def rules_of(instrument: Instrument) -> Rules:
    """Usual terms."""
    return Rules(
        system="bench",
        strategy=STRATEGY,
        instrument=instrument,
        sizing=FixedNotional(Decimal(1000)),
        entry=EntryRules(),
        exits=EXITS,
        schedule_ms=60 * MINUTE_MS,
    )


def entry_at(price: float, side: Side) -> Entry:
    """As the shipped EMA cross wants it."""
    return Entry(
        side=side,
        stop_loss=price * (1 - side.sign * 0.01),
        take_profit=price * (1 + side.sign * 0.02),
        lifetime_ms=240 * MINUTE_MS,
        reason="EMA 12 crossed EMA 48, RSI 55.1",
    )


def portfolio_of(limits: Limits) -> Portfolio:
    """With money and without history."""
    portfolio = Portfolio(limits, loss_limit=None, win_rate=None, report=lambda _source, _sentence: None)
    portfolio.set_wallet(Decimal(WALLET))
    return portfolio


def steps_of_lives(symbols: int, minutes: int) -> list[StepTaken]:
    """Every step that so many symbols take in so many minutes."""
    market = SyntheticMarket(symbols_of(symbols), SyntheticSettings(seed=7, volatility=3))
    fills = FillModel(partial_probability=0.3, seed=7)
    venue = SimulatedVenue(market, VenueSettings(start_ms=_START_MS, wallet=Decimal(WALLET), fills=fills))
    lives = {symbol: _Life(symbol, venue) for symbol in market.symbols}
    venue.subscribe(lambda symbol, event: lives[symbol].events.append(event))
    for _ in range(minutes):
        minute = venue.step()
        for symbol, candle in minute.candles:
            lives[symbol].live(CandleClosed(candle, minute.close_ms))
    return [taken for life in lives.values() for taken in life.taken]


class _Life:
    """One symbol."""

    def __init__(self, symbol: str, venue: SimulatedVenue) -> None:
        self._venue = venue
        self._portfolio = portfolio_of(Limits())
        self._state = SymbolState(system="bench", strategy=STRATEGY, symbol=symbol, signal=Idle())
        self._rules = rules_of(venue.market.instrument(symbol))
        self.events: deque[OrderEvent] = deque()
        self.taken: list[StepTaken] = []

    def live(self, closed: CandleClosed) -> None:
        """What came of the minute, and what follows from it."""
        self._take_events()
        self._take(closed)
        if isinstance(self._state.signal, Idle) and closed.ts_ms % _EVERY_MS == 0:
            self._enter(closed)
        self._take_events()

    def _enter(self, closed: CandleClosed) -> None:
        side = Side.LONG if closed.candle.close > closed.candle.open else Side.SHORT
        now = Circumstances(price=Decimal(str(closed.candle.close)), equity=Decimal(WALLET), ts_ms=closed.ts_ms)
        candidate = propose(self._state, entry_at(closed.candle.close, side), now, self._rules)
        assert not isinstance(candidate, Refused), candidate
        verdict = self._portfolio.admit(candidate, closed.ts_ms)
        assert isinstance(verdict, Approved), verdict
        self._take(Admitted(verdict, closed.ts_ms))
        self._portfolio.release(STRATEGY, candidate.symbol)

    def _take_events(self) -> None:
        while self.events:
            event = self.events.popleft()
            if self._knows(event):
                self._take(event)

    def _knows(self, event: OrderEvent) -> bool:
        order_id = event.fill.client_order_id if isinstance(event, OrderFilled) else event.client_order_id
        return any(record.request.client_order_id == order_id for record in self._state.orders)

    def _take(self, event: Input) -> None:
        self.taken.append(StepTaken(self._state, event, self._rules))
        made = step(self._state, event, self._rules)
        # the ledger has everything at once
        self._state = _without_outbox(made.state)
        for request in made.requests:
            for answer in self._answers(request):
                self._take(answer)

    def _answers(self, request: object) -> Iterator[Input]:
        now_ms = self._venue.now_ms
        if isinstance(request, Submit):
            yield self._venue.submit(request.approved.order, now_ms)
        elif isinstance(request, Amend):
            yield self._venue.amend(request.approved.order, now_ms)
        elif isinstance(request, Cancel):
            try:
                self._venue.cancel(request.symbol, request.client_order_id, now_ms)
            except Rejected:
                return


def _without_outbox(state: SymbolState) -> SymbolState:
    return SymbolState(
        system=state.system,
        strategy=state.strategy,
        symbol=state.symbol,
        sequence=state.sequence,
        number=state.number,
        signal=state.signal,
        orders=state.orders,
        decided_ms=state.decided_ms,
    )
