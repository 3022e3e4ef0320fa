"""`Portfolio.admit` with five hundred symbols in the book and every limit on."""

import time
from decimal import Decimal
from statistics import median

from livebot.core.candidate import Candidate, Refused
from livebot.core.facts import Exposure
from livebot.core.inputs import SymbolState
from livebot.core.limits import Limits, RepeatedExecutions
from livebot.core.market import DAY_MS, MINUTE_MS, Side, decimal_of
from livebot.core.propose import Circumstances, propose
from livebot.core.risk import Approved
from livebot.core.signal import Idle
from livebot.core.streak import LosingStreak, StreakScope
from livebot.runtime.portfolio.portfolio import Portfolio
from livebot.simulator.market import Fees, instrument_for, tick_decimals
from tests.benchmarks.configs import WALLET, symbols_of
from tests.benchmarks.frame import Benchmark, Measured, Numbers, over_runs, quantile
from tests.benchmarks.lives import STRATEGY, entry_at, portfolio_of, rules_of

RUNS = 7
SYMBOLS = 500
CLUSTERS = 40
ROUNDS = 10
PRICE = 123.45
LIMITS = Limits(
    open_signals=2 * SYMBOLS,
    open_signals_per_strategy=2 * SYMBOLS,
    open_signals_per_cluster=2 * SYMBOLS,
    gross_exposure=Decimal(3),
    net_exposure=Decimal(3),
    symbol_exposure=Decimal(1),
    base_exposure=Decimal(1),
    risk_per_trade=Decimal("0.5"),
    risk_in_all=Decimal("0.9"),
    order_notional=Decimal(1_000_000),
    price_collar=Decimal("0.1"),
    stale_data_ms=MINUTE_MS,
    minimum_confidence=Decimal("0.5"),
    duplicate_order_ms=10 * MINUTE_MS,
    repeated_executions=RepeatedExecutions(maximum=1000, window_ms=DAY_MS),
    orders_per_second=100 * SYMBOLS,
    orders_per_minute=100 * SYMBOLS,
    orders_per_day=100 * SYMBOLS,
    losing_streak=LosingStreak(losses=3, cooldown_ms=MINUTE_MS, scope=StreakScope.SYMBOL),
    daily_loss=Decimal("0.5"),
    drawdown=Decimal("0.5"),
)


def measure() -> Measured:
    """Half of the symbols have a position; each of the others asks, is approved, and gives its room back."""
    return over_runs([_run() for _ in range(RUNS)])


def _run() -> Numbers:
    portfolio = portfolio_of(LIMITS)
    symbols = symbols_of(SYMBOLS)
    for symbol in symbols[::2]:
        portfolio.recovered(STRATEGY, symbol, _exposure(), 1)
    portfolio.set_clusters({symbol: f"cluster {place % CLUSTERS}" for place, symbol in enumerate(symbols)})
    for symbol in symbols:
        portfolio.mark(symbol, PRICE)
    took: list[float] = []
    for number in range(ROUNDS):
        now_ms = DAY_MS + number * MINUTE_MS
        took += [_us(portfolio, _candidate(symbol, now_ms), now_ms) for symbol in symbols[1::2]]
        for symbol in symbols[1::2]:
            portfolio.release(STRATEGY, symbol)
    return {"p50_us": median(took), "p99_us": quantile(took, 0.99), "mean_us": sum(took) / len(took)}


def _us(portfolio: Portfolio, candidate: Candidate, now_ms: int) -> float:
    began = time.perf_counter_ns()
    verdict = portfolio.admit(candidate, now_ms, age_ms=500)
    took = time.perf_counter_ns() - began
    assert isinstance(verdict, Approved), verdict
    return took / 1000


def _exposure() -> Exposure:
    price, quantity = decimal_of(PRICE), Decimal("8.1")
    return Exposure(
        side=Side.LONG, quantity=quantity, entry_price=price, open_notional=quantity * price, risk_to_stop=Decimal(10)
    )


def _candidate(symbol: str, ts_ms: int) -> Candidate:
    instrument = instrument_for(symbol, PRICE, tick_decimals(PRICE), Fees())
    state = SymbolState(system="bench", strategy=STRATEGY, symbol=symbol, signal=Idle())
    now = Circumstances(price=decimal_of(PRICE), equity=Decimal(WALLET), ts_ms=ts_ms, confidence=0.7)
    candidate = propose(state, entry_at(PRICE, Side.LONG), now, rules_of(instrument))
    assert not isinstance(candidate, Refused), candidate
    return candidate


BENCHMARK = Benchmark(name="admit", unit="us", target={"p50_us": 50}, measure=measure)
