"""I5 and I6 over random histories: whatever happens in whatever order, no limit is exceeded and no halt is lost.

A plain model keeps what each (strategy, symbol) holds or was promised; after every step its sums, made anew, must be
within the limits, and the portfolio's running totals must equal them exactly.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from livebot.core.candidate import Candidate
from livebot.core.denial import TradingState
from livebot.core.facts import NO_EXPOSURE, Exposure
from livebot.core.limits import Limits
from livebot.core.market import MINUTE_MS, Side
from livebot.core.order import ZERO
from livebot.core.risk import Approved
from livebot.runtime.portfolio.portfolio import Portfolio
from tests.runtime.samples import NOW_MS, Teller, candidate, held

WALLET = Decimal(1000)
MOST_SIGNALS, MOST_OF_STRATEGY, MOST_ORDERS = 3, 2, 6
MOST_NOTIONAL, MOST_OF_SYMBOL = Decimal(500), Decimal(300)
LIMITS = Limits(
    open_signals=MOST_SIGNALS,
    open_signals_per_strategy=MOST_OF_STRATEGY,
    gross_exposure=MOST_NOTIONAL / WALLET,
    symbol_exposure=MOST_OF_SYMBOL / WALLET,
    orders_per_minute=MOST_ORDERS,
)
STRATEGIES, SYMBOLS = ("trend", "breakout"), ("A/USDT", "B/USDT", "C/USDT")
KEYS = [(strategy, symbol) for strategy in STRATEGIES for symbol in SYMBOLS]
keys = st.sampled_from(KEYS)
# awkward amounts, yet exact in all sums of this test
notionals = st.integers(1, 900).map(lambda value: (Decimal(value) / 3).quantize(Decimal("1e-10")))


@dataclass
class Truth:
    """One (strategy, symbol) as it really is: `promised` is approved and not yet told of."""

    teller: Teller
    exposure: Exposure = NO_EXPOSURE
    promised: Decimal | None = None

    @property
    def filled(self) -> bool:
        return self.exposure.quantity > 0

    @property
    def at_stake(self) -> Decimal:
        return self.exposure.open_notional + self.exposure.pending_notional + (self.promised or ZERO)


def total(truths: Iterable[Truth]) -> Decimal:
    return sum((truth.at_stake for truth in truths), ZERO)


def about(wanted: Callable[[Truth], bool], **drawn: Any) -> Any:
    """A rule about one of those that are so now; it is not tried if none is."""

    def decorate(function: Callable) -> Any:
        @precondition(lambda machine: any(wanted(truth) for truth in machine.truths.values()))
        @rule(choice=st.integers(0, len(KEYS) - 1), **drawn)
        def step(self, choice, **values):
            found = [truth for truth in self.truths.values() if wanted(truth)]
            function(self, found[choice % len(found)], **values)

        step.__name__ = function.__name__
        return step

    return decorate


class PortfolioMachine(RuleBasedStateMachine):
    """Workers that admit, fill, fail, close, crash and restart in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = NOW_MS
        self.halted = False
        self.causes: set[str] = set()
        self.orders: list[int] = []
        self.truths = {(strategy, symbol): Truth(Teller(symbol, strategy=strategy)) for strategy, symbol in KEYS}
        self.portfolio = self.fresh()
        self.portfolio.set_wallet(WALLET)

    def fresh(self) -> Portfolio:
        return Portfolio(LIMITS, loss_limit=None, win_rate=None, report=lambda *_: None)

    @about(lambda truth: truth.exposure.side is None, notional=notionals, side=st.sampled_from(Side))
    def enter(self, truth, notional, side):
        teller = truth.teller
        asked = candidate(
            teller.symbol,
            strategy=teller.strategy,
            side=side,
            notional=notional,
            number=teller.number,
            ts_ms=self.now_ms,
        )
        self.ask(truth, asked)

    @about(lambda truth: truth.filled and not truth.exposure.pending_notional, notional=notionals)
    def average(self, truth, notional):
        teller = truth.teller
        asked = candidate(teller.symbol, strategy=teller.strategy, side=teller.side, notional=notional, averaging=True)
        self.ask(truth, asked)

    def ask(self, truth: Truth, asked: Candidate) -> None:
        """The verdict must be the model's, which looks at everything but this key's own reservation."""
        promised, truth.promised = truth.promised, None
        expected = self.allowed(truth, asked)
        verdict = self.portfolio.admit(asked, self.now_ms)
        assert expected == isinstance(verdict, Approved), verdict
        if expected:
            truth.promised, truth.teller.side = asked.notional, asked.side
            self.orders.append(self.now_ms)
        else:
            truth.promised = promised

    def allowed(self, truth: Truth, asked: Candidate) -> bool:
        active = [other for other in self.truths.values() if other.at_stake]
        of_symbol = [other for other in active if other.teller.symbol == asked.symbol]
        of_strategy = [other for other in active if other.teller.strategy == asked.strategy]
        room = asked.signal is None or (len(active) < MOST_SIGNALS and len(of_strategy) < MOST_OF_STRATEGY)
        return (
            room
            and not self.halted
            and not self.causes
            and all(other.teller.side is asked.side for other in of_symbol)
            and total(active) + asked.notional <= MOST_NOTIONAL
            and total(of_symbol) + asked.notional <= MOST_OF_SYMBOL
            and self.recent_orders() < MOST_ORDERS
        )

    def recent_orders(self) -> int:
        return sum(ts_ms > self.now_ms - MINUTE_MS for ts_ms in self.orders)

    def promised(self, truth: Truth) -> Decimal:
        assert truth.promised is not None
        notional, truth.promised = truth.promised, None
        return notional

    def tell(self, truth: Truth, fact) -> None:
        truth.exposure = fact.exposure
        self.portfolio.hear([fact])

    @about(lambda truth: truth.promised is not None and truth.exposure.side is None)
    def the_entry_is_saved(self, truth):
        self.tell(truth, truth.teller.opening(self.promised(truth)))

    @about(lambda truth: truth.exposure.side is not None and not truth.filled)
    def the_entry_fills_in_part(self, truth):
        half = truth.exposure.pending_notional / 2
        self.tell(truth, truth.teller.opened(held(half, 1, side=truth.teller.side, pending_notional=half)))

    @about(lambda truth: truth.exposure.pending_notional > 0)
    def the_rest_fills(self, truth):
        whole = truth.exposure.pending_notional + truth.exposure.open_notional
        self.tell(truth, truth.teller.increased(held(whole, 1, side=truth.teller.side)))

    @about(lambda truth: truth.promised is not None and truth.filled)
    def averaging_is_working(self, truth):
        held_now = truth.exposure.open_notional
        exposure = held(held_now, 1, side=truth.teller.side, pending_notional=self.promised(truth))
        self.tell(truth, truth.teller.stop_moved(exposure))

    @about(lambda truth: truth.promised is not None and truth.filled)
    def averaging_fails(self, truth):
        truth.promised = None
        self.tell(truth, truth.teller.failed(truth.exposure))

    @about(lambda truth: truth.filled and not truth.exposure.pending_notional)
    def the_stop_moves_without_knowing_of_averaging(self, truth):
        self.tell(truth, truth.teller.stop_moved(truth.exposure))

    @about(lambda truth: truth.promised is not None)
    def the_order_is_not_sent(self, truth):
        truth.promised = None
        self.portfolio.release(truth.teller.strategy, truth.teller.symbol)

    @about(lambda truth: truth.exposure.side is not None and not truth.filled)
    def the_entry_fails(self, truth):
        self.tell(truth, truth.teller.cancelled())

    @about(lambda truth: truth.filled)
    def the_signal_closes(self, truth):
        truth.promised = None
        self.tell(truth, truth.teller.closed(0))

    @rule(key=keys)
    def the_worker_restarts(self, key):
        """What was promised and not saved is gone; what is in the file stays."""
        truth = self.truths[key]
        truth.promised = None
        self.portfolio.recovered(key[0], key[1], truth.exposure, truth.teller.sequence)

    @rule()
    def the_daemon_restarts(self):
        memory = self.portfolio.memory()
        self.portfolio = self.fresh()
        self.causes.clear()  # whoever sees them sees them again
        exposures = {key: truth.exposure for key, truth in self.truths.items()}
        self.portfolio.restore(memory, exposures)
        self.portfolio.set_wallet(WALLET)
        self.orders.clear()  # the portfolio forgets its order rate; the venue's own limit is behind it
        for key, truth in self.truths.items():
            truth.promised = None
            self.portfolio.recovered(key[0], key[1], truth.exposure, truth.teller.sequence)

    @rule(ms=st.integers(1, 40_000))
    def time_passes(self, ms):
        self.now_ms += ms
        self.portfolio.evaluate(self.now_ms)

    @rule()
    def an_operator_halts(self):
        self.portfolio.halt("for a test")
        self.halted = True

    @rule(source=st.sampled_from(["clock", "venue"]), stands=st.booleans())
    def something_reduces_trading_or_has_passed(self, source, stands):
        self.portfolio.cause(source, "it is off" if stands else None)
        (self.causes.add if stands else self.causes.discard)(source)

    @rule()
    def something_latches_a_halt(self):
        self.portfolio.latch("too much fails")
        self.halted = True

    @precondition(lambda self: self.halted)
    @rule()
    def an_operator_lifts_the_halt(self):
        self.portfolio.unhalt("for a test", self.now_ms)
        self.halted = False

    @invariant()
    def no_limit_is_exceeded(self):
        active = [truth for truth in self.truths.values() if truth.at_stake]
        assert len(active) <= MOST_SIGNALS
        assert total(active) <= MOST_NOTIONAL
        for strategy in STRATEGIES:
            assert sum(truth.teller.strategy == strategy for truth in active) <= MOST_OF_STRATEGY
        for symbol in SYMBOLS:
            of_symbol = [truth for truth in active if truth.teller.symbol == symbol]
            assert total(of_symbol) <= MOST_OF_SYMBOL
            assert len({truth.teller.side for truth in of_symbol}) <= 1
        assert self.recent_orders() <= MOST_ORDERS

    @invariant()
    def running_totals_equal_the_sum(self):
        used = {limit.name: limit.used for limit in self.portfolio.limit_use()}
        active = [truth for truth in self.truths.values() if truth.at_stake]
        assert total(active) / WALLET == used["gross_exposure"]
        assert len(active) == self.portfolio.open_signals

    @invariant()
    def a_halt_holds(self):
        state = self.portfolio.trading_state
        assert self.halted == (state is TradingState.HALTED)
        assert self.halted or bool(self.causes) == (state is TradingState.REDUCING)


TestPortfolio = pytest.mark.untraced(PortfolioMachine.TestCase)
TestPortfolio.settings = settings(max_examples=200, stateful_step_count=50)
