"""Twenty-five features of one symbol, over a year of minutes at once, and candle by candle; all on one core.

`live_talib_cpu_us` is what TA-Lib's own calls of a candle take, with nothing around them; `context_cpu_us` is what five
features made of other symbols take at one close, for each symbol of the universe.
"""

import time
from collections.abc import Sequence

import numpy as np
import talib

from livebot.core.market import MINUTE_MS, Candle, Timeframe
from livebot.core.series import CandleSeries
from livebot.features import batch
from livebot.features import catalogue as c
from livebot.features.context_live import LiveContext
from livebot.features.declaration import Feature
from livebot.features.live import LiveFeatures
from livebot.features.plan import make_plan
from tests.benchmarks.frame import Benchmark, Measured, Numbers, over_runs

RUNS = 5
MINUTES = 525_600
HISTORY = 3_000
CANDLES = 20_000
UNIVERSE = 20
CLOSES = 200

FEATURES: tuple[Feature, ...] = (
    c.ema("fast", 12),
    c.ema("slow", 48),
    c.sma("average", 20),
    c.rsi("rsi", 14),
    c.atr("atr", 14),
    c.natr("natr", 14),
    c.adx("adx", 14),
    c.macd("macd"),
    c.macd("macd_signal", "macdsignal"),
    c.macd("macd_histogram", "macdhist"),
    c.bollinger_position("band", 20),
    c.bollinger_width("width", 20),
    c.cci("cci", 20),
    c.money_flow_index("mfi", 14),
    c.williams_r("williams", 14),
    c.percent_change("roc", 10),
    c.stochastic("stochastic", "slowk"),
    c.stochastic("stochastic_signal", "slowd"),
    c.change("change", 5),
    c.scaled_return("scaled", 5, 48),
    c.relative_volume("volume", 20),
    c.distance_in_atr("from_slow", c.ema("slow", 48)),
    c.distance_in_atr("from_high", c.highest("high", 20)),
    c.hour_sine("hour"),
    c.weekend("weekend"),
)
CONTEXT: tuple[Feature, ...] = (
    c.market_return("market", 5),
    c.breadth_up("rising", 5),
    c.dispersion("spread", 5),
    c.volatility_index("storm", 20),
    c.leader_return("lead", "S00/USDT:USDT", 1, lag=1),
)


def measure() -> Measured:
    """The same candles in each run."""
    year = _candles(MINUTES, 0)
    return over_runs([_run(year) for _ in range(RUNS)])


def _run(year: CandleSeries) -> Numbers:
    batch_s = _batch_s(year)
    return {
        "batch_cpu_us_per_row": batch_s * 1e6 / MINUTES,
        "batch_rows_per_cpu_s": MINUTES / batch_s,
        "live_cpu_us": _live_us(year),
        "live_talib_cpu_us": _talib_us(year),
        "context_cpu_us": _context_us(),
    }


def _batch_s(year: CandleSeries) -> float:
    began = time.process_time()
    batch.compute(FEATURES, year)
    return time.process_time() - began


def _live_us(year: CandleSeries) -> float:
    live = LiveFeatures(FEATURES, year.part(0, HISTORY))
    coming = _one_by_one(year.part(HISTORY, HISTORY + CANDLES))
    began = time.process_time()
    for candle in coming:
        live.update(candle)
    return (time.process_time() - began) * 1e6 / CANDLES


def _talib_us(year: CandleSeries) -> float:
    """Each handle's calls alone, over the candles' own columns (what they read matters little to what they cost)."""
    past, columns = year.part(0, HISTORY), ("high", "low", "close", "volume")
    total = 0.0
    for stage in make_plan(FEATURES).stages:
        if stage.arithmetic:
            continue
        wanted = columns[: len(stage.sources)]
        stream = getattr(talib.stream, stage.function)  # type: ignore[attr-defined]
        handle = stream(*(getattr(past, name) for name in wanted), **dict(stage.parameters))
        total += _called_us(
            handle.update, [getattr(year, name)[HISTORY : HISTORY + CANDLES].tolist() for name in wanted]
        )
    return total


def _called_us(call: object, columns: Sequence[list[float]]) -> float:
    rows = list(zip(*columns, strict=True))
    began = time.process_time()
    for row in rows:
        call(*row)  # type: ignore[operator]
    return (time.process_time() - began) * 1e6 / len(rows)


def _context_us() -> float:
    symbols = [f"S{number:02}/USDT:USDT" for number in range(UNIVERSE)]
    series = {symbol: _candles(HISTORY + CLOSES, seed) for seed, symbol in enumerate(symbols)}
    context = LiveContext(CONTEXT, symbols, Timeframe.M1)
    for symbol in symbols:
        context.begin(symbol, series[symbol].part(0, HISTORY))
        context.columns(symbol)
    coming = [_one_by_one(series[symbol].part(HISTORY, HISTORY + CLOSES)) for symbol in symbols]
    began = time.process_time()
    for row in zip(*coming, strict=True):
        for symbol, candle in zip(symbols, row, strict=True):
            context.update(symbol, candle)
        assert context.lacking(row[0].ts_ms + MINUTE_MS) == ()
        context.settle(row[0].ts_ms + MINUTE_MS)
    return (time.process_time() - began) * 1e6 / CLOSES / UNIVERSE


def _candles(count: int, seed: int) -> CandleSeries:
    chance = np.random.default_rng(seed)
    close = np.round(30_000 * np.exp(np.cumsum(chance.normal(0, 0.0005, count))), 2)
    opens = np.concatenate([[30_000.0], close])[:count]
    reach = np.round(np.abs(chance.normal(0, 10, (2, count))), 2)
    return CandleSeries(
        ts_ms=MINUTE_MS * np.arange(count, dtype=np.int64),
        open=opens,
        high=np.maximum(opens, close) + reach[0],
        low=np.minimum(opens, close) - reach[1],
        close=close,
        volume=np.round(chance.gamma(2.0, 5.0, count), 3),
    )


def _one_by_one(series: CandleSeries) -> list[Candle]:
    columns = (series.ts_ms, series.open, series.high, series.low, series.close, series.volume)
    return [Candle(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


BENCHMARK = Benchmark(
    name="features", unit="us", target={"batch_cpu_us_per_row": 2, "live_cpu_us": 12}, measure=measure
)
