"""A round of five hundred wishes: sized, ranked and admitted in one go, with every limit on and room for half of them."""

import asyncio
import time
from dataclasses import replace
from random import Random

from livebot.core.inputs import SymbolState
from livebot.core.market import DAY_MS, MINUTE_MS, Side, decimal_of
from livebot.core.order import ZERO
from livebot.core.propose import Circumstances
from livebot.core.ranking import Wish
from livebot.core.rules import FixedNotional
from livebot.core.signal import Idle
from livebot.runtime.inbox import Activity
from livebot.runtime.portfolio.rounds import Rounds
from livebot.runtime.settings import RoundSettings
from livebot.simulator.market import Fees, instrument_for, tick_decimals
from tests.benchmarks.admit import CLUSTERS, LIMITS, PRICE, SYMBOLS
from tests.benchmarks.configs import symbols_of
from tests.benchmarks.frame import Benchmark, Measured, Numbers, over_runs, quantile
from tests.benchmarks.lives import STRATEGY, entry_at, portfolio_of, rules_of

RUNS = 7
ROUNDS = 10
ROOM = SYMBOLS // 2


class _Clock:
    def __init__(self) -> None:
        self.now = 0

    def now_ms(self) -> int:
        return self.now + 500


def measure() -> Measured:
    """From the last wish until every verdict is delivered, and what an empty round costs each who speaks."""
    return over_runs([asyncio.run(_run(number)) for number in range(RUNS)])


async def _run(seed: int) -> Numbers:
    portfolio, clock, random = portfolio_of(replace(LIMITS, open_signals=ROOM)), _Clock(), Random(seed)
    symbols = symbols_of(SYMBOLS)
    portfolio.set_clusters({symbol: f"cluster {place % CLUSTERS}" for place, symbol in enumerate(symbols)})
    for symbol in symbols:
        portfolio.mark(symbol, PRICE)
    rounds = Rounds(RoundSettings(deadline_s=60.0), portfolio, clock, Activity(), lambda _: None)
    for symbol in symbols:
        rounds.expect((STRATEGY, symbol), MINUTE_MS)
    took: list[tuple[float, float]] = []
    for number in range(ROUNDS):
        clock.now = DAY_MS + number * MINUTE_MS
        random.shuffle(symbols)
        took.append(await _round_ms(rounds, [_wish(symbol, clock.now, random.random()) for symbol in symbols]))
        assert portfolio.reserved[0] == ROOM
        for symbol in symbols:
            portfolio.release(STRATEGY, symbol)
    return {
        "p50_ms": quantile([wall for wall, _ in took], 0.5),
        "max_ms": max(wall for wall, _ in took),
        "cpu_p50_ms": quantile([cpu for _, cpu in took], 0.5),
        "spoke_us": _spoke_us(rounds, symbols, clock.now + MINUTE_MS),
    }


async def _round_ms(rounds: Rounds, wishes: list[Wish]) -> tuple[float, float]:
    """The last one speaks and all are judged: by the wall clock, and of this thread's own time."""
    done = asyncio.Event()
    *others, last = wishes
    asked = []
    for wish in others:
        asked.append(rounds.ask(wish, lambda: None))
        rounds.spoke(wish.key, wish.now.ts_ms)
    began, began_cpu = time.perf_counter_ns(), time.thread_time_ns()
    asked.append(rounds.ask(last, lambda: asyncio.get_running_loop().call_soon(done.set)))
    rounds.spoke(last.key, last.now.ts_ms)
    await done.wait()
    took, took_cpu = time.perf_counter_ns() - began, time.thread_time_ns() - began_cpu
    for each in asked:
        assert rounds.take(each) is not None
    return took / 1_000_000, took_cpu / 1_000_000


def _spoke_us(rounds: Rounds, symbols: list[str], close_ms: int) -> float:
    began = time.perf_counter_ns()
    for symbol in symbols:
        rounds.spoke((STRATEGY, symbol), close_ms)
    return (time.perf_counter_ns() - began) / 1000 / len(symbols)


def _wish(symbol: str, ts_ms: int, confidence: float) -> Wish:
    instrument = instrument_for(symbol, PRICE, tick_decimals(PRICE), Fees())
    return Wish(
        state=SymbolState(system="bench", strategy=STRATEGY, symbol=symbol, signal=Idle()),
        entry=entry_at(PRICE, Side.LONG),
        now=Circumstances(price=decimal_of(PRICE), equity=ZERO, ts_ms=ts_ms, confidence=0.5 + confidence / 2),
        rules=replace(rules_of(instrument), sizing=FixedNotional(decimal_of(100))),
    )


BENCHMARK = Benchmark(name="round", unit="ms", target={"p50_ms": 40}, measure=measure)
