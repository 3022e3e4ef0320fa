"""Candles to test with: made up from a seed, or real ones that lie beside the checkout where there are any."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from livebot.core.market import MINUTE_MS, Candle, Timeframe
from livebot.core.series import CandleSeries

REAL_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
START_MS = 1_750_032_000_000  # a midnight
COLUMNS = ("ts_ms", "open", "high", "low", "close", "volume")


def synthetic(count: int, seed: int = 0, timeframe: Timeframe = Timeframe.M1, start_ms: int = START_MS) -> CandleSeries:
    """A random walk with quiet stretches, in which nothing moves at all."""
    chance = np.random.default_rng(seed)
    moves = chance.normal(0, 0.001, count) * (chance.random(count) < 0.9)
    moves[count // 3 : count // 3 + 60] = 0.0
    close = np.round(30_000 * np.exp(np.cumsum(moves)), 2)
    opens = np.concatenate([[30_000.0], close])[:count]
    reach = np.round(np.abs(chance.normal(0, 10, (2, count))) * (moves != 0), 2)
    return CandleSeries(
        ts_ms=start_ms + timeframe.ms * np.arange(count, dtype=np.int64),
        open=opens,
        high=np.maximum(opens, close) + reach[0],
        low=np.minimum(opens, close) - reach[1],
        close=close,
        volume=np.round(chance.gamma(2.0, 5.0, count), 3),
    )


def real(symbol: str, folder: str = "perp_1m") -> CandleSeries:
    """Real candles of a symbol such as BTCUSDT; skips the test, saying so, where they are not."""
    path = REAL_DATA / folder / f"{symbol}.parquet"
    if not path.exists():
        pytest.skip(f"needs real candles: no {folder}/{symbol}.parquet in shared/data beside the checkout")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(path)
    return CandleSeries(**{column: table[column].to_numpy() for column in COLUMNS})


def candles(series: CandleSeries) -> Iterator[Candle]:
    """One by one, as Python numbers."""
    columns = [getattr(series, column).tolist() for column in COLUMNS]
    return (Candle(*row) for row in zip(*columns, strict=True))


def from_closes(closes: list[float], timeframe: Timeframe = Timeframe.M1, reach: float = 0.0) -> CandleSeries:
    """Candles with these closes, each as high and low as `reach` around them."""
    close = np.array(closes, np.float64)
    return CandleSeries(
        ts_ms=START_MS + timeframe.ms * np.arange(len(close), dtype=np.int64),
        open=close.copy(),
        high=close + reach,
        low=close - reach,
        close=close,
        volume=np.ones(len(close)),
    )


def minute(number: int, price: float = 100.0, **changed: float) -> Candle:
    """The candle of the minute so many after START_MS."""
    values = {"open": price, "high": price, "low": price, "close": price, "volume": 1.0, **changed}
    return Candle(START_MS + number * MINUTE_MS, **values)
