"""I5 and I6 over random histories: whatever happens in whatever order, no limit is exceeded and no halt is lost.

A plain model keeps what each (strategy, symbol) holds or was promised; after every step its sums, made anew, must be
within the limits, and the portfolio's running totals must equal them exactly.
"""

from dataclasses import dataclass
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from livebot.core.facts import NO_EXPOSURE, Exposure
from livebot.core.market import Side
from livebot.core.order import ZERO
from livebot.core.risk import Approved, DenialCode, Denied, Limits, TradingState
from livebot.runtime.portfolio import Portfolio
from tests.runtime.samples import NOW_MS, Teller, candidate, held

WALLET = Decimal(1000)
LIMITS = Limits(
    open_signals=3,
    open_signals_per_strategy=2,
    gross_exposure=Decimal("0.5"),
    symbol_exposure=Decimal("0.3"),
    orders_per_minute=5,
)
KEYS = [(strategy, symbol) for strategy in ("trend", "breakout") for symbol in ("A/USDT", "B/USDT", "C/USDT", "D/USDT")]
keys = st.sampled_from(KEYS)
# thirds, so that a sum that is not exact would show
notionals = st.integers(1, 900).map(lambda value: Decimal(value) / 3)


@dataclass
class Truth:
    """One (strategy, symbol) as it really is: `promised` is approved and not yet told of."""

    teller: Teller
    exposure: Exposure = NO_EXPOSURE
    promised: Decimal | None = None
    promised_side: Side = Side.LONG


class PortfolioMachine(RuleBasedStateMachine):
    """Workers that admit, fill, fail, close, crash and restart in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = NOW_MS
        self.halted = False
        self.orders: list[int] = []
        self.truths = {(strategy, symbol): Truth(Teller(symbol, strategy=strategy)) for strategy, symbol in KEYS}
        self.portfolio = self.fresh()
        self.portfolio.set_wallet(WALLET)

    def fresh(self) -> Portfolio:
        return Portfolio(LIMITS, loss_limit=None, win_rate=None, report=lambda *_: None)

    @rule(key=keys, notional=notionals, side=st.sampled_from(Side))
    def enter(self, key, notional, side):
        truth = self.truths[key]
        if truth.exposure.side is not None:
            return
        asked = candidate(
            key[1], strategy=key[0], side=side, notional=notional, number=truth.teller.number, ts_ms=self.now_ms
        )
        self.ask(truth, asked)

    @rule(key=keys, notional=notionals)
    def average(self, key, notional):
        truth = self.truths[key]
        if not truth.exposure.quantity or truth.exposure.pending_notional:
            return
        asked = candidate(key[1], strategy=key[0], side=truth.exposure.side, notional=notional, averaging=True)
        self.ask(truth, asked)

    def ask(self, truth: Truth, asked) -> None:
        verdict = self.portfolio.admit(asked, self.now_ms)
        if isinstance(verdict, Approved):
            assert not self.halted
            truth.promised, truth.promised_side = asked.notional, asked.side
            truth.teller.side = asked.side
            self.orders.append(self.now_ms)
        elif self.halted:
            assert isinstance(verdict, Denied)
            assert verdict.code is DenialCode.HALTED

    def promised(self, truth: Truth) -> Decimal:
        assert truth.promised is not None
        notional, truth.promised = truth.promised, None
        return notional

    def tell(self, truth: Truth, fact) -> None:
        truth.exposure = fact.exposure
        self.portfolio.hear([fact])

    def anyone(self, key, wanted) -> Truth | None:
        truth = self.truths[key]
        return truth if wanted(truth) else None

    @rule(key=keys)
    def the_entry_is_saved(self, key):
        truth = self.truths[key]
        if truth.promised is not None and truth.exposure.side is None:
            self.tell(truth, truth.teller.opening(self.promised(truth)))

    @rule(key=keys)
    def the_entry_fills_in_part(self, key):
        truth = self.truths[key]
        if truth.exposure.pending_notional and not truth.exposure.quantity:
            half = truth.exposure.pending_notional / 2
            self.tell(truth, truth.teller.opened(held(half, 1, side=truth.teller.side, pending_notional=half)))

    @rule(key=keys)
    def the_rest_fills(self, key):
        truth = self.truths[key]
        if truth.exposure.pending_notional:
            whole = truth.exposure.pending_notional + truth.exposure.open_notional
            self.tell(truth, truth.teller.increased(held(whole, 1, side=truth.teller.side)))

    @rule(key=keys)
    def averaging_is_working(self, key):
        truth = self.truths[key]
        if truth.promised is not None and truth.exposure.quantity:
            held_now = truth.exposure.open_notional
            exposure = held(held_now, 1, side=truth.teller.side, pending_notional=self.promised(truth))
            self.tell(truth, truth.teller.stop_moved(exposure))

    @rule(key=keys)
    def the_stop_moves_without_knowing_of_averaging(self, key):
        truth = self.truths[key]
        if truth.exposure.quantity:
            self.tell(truth, truth.teller.stop_moved(truth.exposure))

    @rule(key=keys)
    def the_order_is_not_sent(self, key):
        self.truths[key].promised = None
        self.portfolio.release(*key)

    @rule(key=keys)
    def the_entry_fails(self, key):
        truth = self.truths[key]
        if truth.exposure.side is not None and not truth.exposure.quantity:
            self.tell(truth, truth.teller.cancelled())

    @rule(key=keys)
    def the_signal_closes(self, key):
        truth = self.truths[key]
        if truth.exposure.quantity:
            truth.promised = None
            self.tell(truth, truth.teller.closed(0))

    @rule(key=keys)
    def the_worker_restarts(self, key):
        """What was promised and not saved is gone; what is in the file stays."""
        truth = self.truths[key]
        truth.promised = None
        self.portfolio.recovered(*key, truth.exposure, truth.teller.sequence)

    @rule()
    def the_daemon_restarts(self):
        memory = self.portfolio.memory()
        self.portfolio = self.fresh()
        exposures = {key: truth.exposure for key, truth in self.truths.items()}
        self.portfolio.restore(memory, exposures)
        self.portfolio.set_wallet(WALLET)
        self.orders.clear()
        for key, truth in self.truths.items():
            truth.promised = None
            self.portfolio.recovered(*key, truth.exposure, truth.teller.sequence)

    @rule(ms=st.integers(1, 40_000))
    def time_passes(self, ms):
        self.now_ms += ms
        self.portfolio.evaluate(self.now_ms)

    @rule()
    def an_operator_halts(self):
        self.portfolio.halt("for a test")
        self.halted = True

    @precondition(lambda self: self.halted)
    @rule()
    def an_operator_lifts_the_halt(self):
        self.portfolio.unhalt("for a test", self.now_ms)
        self.halted = False

    def at_stake(self, truth: Truth) -> Decimal:
        return truth.exposure.open_notional + truth.exposure.pending_notional + (truth.promised or ZERO)

    @invariant()
    def no_limit_is_exceeded(self):
        active = [key for key, truth in self.truths.items() if self.at_stake(truth)]
        assert len(active) <= 3
        for strategy in ("trend", "breakout"):
            assert sum(key[0] == strategy for key in active) <= 2
        assert sum((self.at_stake(truth) for truth in self.truths.values()), ZERO) <= 500
        for symbol in {symbol for _, symbol in KEYS}:
            at_stake = [truth for key, truth in self.truths.items() if key[1] == symbol and self.at_stake(truth)]
            assert sum((self.at_stake(truth) for truth in at_stake), ZERO) <= 300
            assert len({truth.teller.side for truth in at_stake}) <= 1
        assert sum(ts_ms > self.now_ms - 60_000 for ts_ms in self.orders) <= 5

    @invariant()
    def running_totals_equal_the_sum(self):
        limits = {limit.name: limit.used for limit in self.portfolio.limit_use()}
        at_stake = sum((self.at_stake(truth) for truth in self.truths.values()), ZERO)
        assert at_stake / WALLET == limits["gross_exposure"]
        assert sum(self.at_stake(truth) > 0 for truth in self.truths.values()) == self.portfolio.open_signals

    @invariant()
    def a_halt_holds(self):
        assert self.halted == (self.portfolio.trading_state is TradingState.HALTED)


TestPortfolio = PortfolioMachine.TestCase
TestPortfolio.settings = settings(max_examples=150, stateful_step_count=60)
