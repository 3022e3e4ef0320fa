"""What a rehearsal of models needs: a strategy, candles of a market whose course is planned, and a config.

The market is a walk by chance of one-minute candles.  SOL is hardly traded until it is wanted by the universe; from
`DRIFT_MS` on every price moves many times as much as in all the time that a model can be trained on.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from livebot.core.entry import Entry
from livebot.core.market import DAY_MS, MINUTE_MS, Side, Timeframe
from livebot.strategies.interface import Strategy, View
from tests.process import daemons
from tests.process.daemons import SYMBOLS
from tests.process.strategies import Nothing, chance

BTC, ETH, SOL = SYMBOLS[:3]
HOUR_MS = 60 * MINUTE_MS
START_MS = 1_767_225_600_000  # when the daemon begins
FIRST_MS = START_MS - 6 * DAY_MS
JOINS_MS = START_MS + 20 * MINUTE_MS  # from then on SOL is traded much
DRIFT_MS = START_MS + 40 * HOUR_MS
END_MS = START_MS + 60 * DAY_MS  # later than the slowest machine comes to
QUIET, WILD = 0.001, 0.01  # deviation of a minute's return before and after
HOLDS_MINUTES = 40 * 60


class Patient(Strategy[Nothing]):
    """BTC is bought and held until the drift, with a stop that is not reached; the others come and go within minutes."""

    name = "patient"
    Params = Nothing

    @property
    def timeframe(self) -> Timeframe:
        return Timeframe.M1

    def decide(self, view: View) -> Entry | None:
        minute = view.close_ms // MINUTE_MS
        if view.symbol == BTC:
            return _entry(view, Side.LONG, distance=0.3, minutes=HOLDS_MINUTES) if minute % 120 == 4 else None
        if minute % 4:
            return None
        side = Side.LONG if chance(view, "side", 2) else Side.SHORT
        return _entry(view, side, distance=0.003, minutes=7)


def _entry(view: View, side: Side, *, distance: float, minutes: int) -> Entry:
    return Entry(
        side=side,
        stop_loss=view.close * (1 - side.sign * distance),
        take_profit=view.close * (1 + side.sign * distance),
        lifetime_ms=minutes * MINUTE_MS,
    )


@dataclass(frozen=True)
class Course:
    """The candles of one symbol from FIRST_MS to END_MS: opening times, and open, high, low, close, volume (5 x n)."""

    symbol: str
    ts_ms: np.ndarray
    values: np.ndarray

    def write(self, folder: Path, until_ms: int = END_MS) -> None:
        """As a file of candles that open before `until_ms`."""
        folder.mkdir(exist_ok=True)
        stop = int(np.searchsorted(self.ts_ms, until_ms))
        names = ("open", "high", "low", "close", "volume")
        columns = {name: row[:stop] for name, row in zip(names, self.values, strict=True)}
        name = self.symbol.replace("/", "-").replace(":", "_")
        pq.write_table(pa.table({"ts_ms": self.ts_ms[:stop], **columns}), folder / f"{name}.parquet")


def course(symbol: str) -> Course:
    """The same at each call."""
    rng = np.random.default_rng(SYMBOLS.index(symbol))
    ts_ms = np.arange(FIRST_MS, END_MS, MINUTE_MS, dtype=np.int64)
    moves = rng.normal(size=len(ts_ms)) * np.where(ts_ms < DRIFT_MS, QUIET, WILD)
    closes = np.round(100 * np.exp(np.cumsum(moves - moves.mean())), 4)
    opens = np.concatenate(([100.0], closes[:-1]))
    wick = np.abs(moves) / 4
    highs = np.round(np.maximum(opens, closes) * (1 + wick), 4)
    lows = np.round(np.minimum(opens, closes) * (1 - wick), 4)
    volumes = rng.uniform(5, 15, size=len(ts_ms))
    if symbol == SOL:
        volumes = np.where(ts_ms < JOINS_MS, volumes / 100, volumes * 100)
    return Course(symbol, ts_ms, np.stack((opens, highs, lows, closes, volumes)))


def config_of(market: Path, *, speed: int) -> dict[str, Any]:
    """A universe of those that are traded enough, a model of all of them, and alerts to a webhook."""
    config = daemons.config_of(
        exchange={
            "id": "simulator",
            "simulator": {
                "candles": str(market),
                "start": f"{datetime.fromtimestamp(START_MS / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}",
                "speed": speed,
                "wallet": 1_000_000,
            },
        },
        universe={"top": 3, "minimum_volume": 200_000, "refresh_minutes": 10},
        strategies=[{"class": "tests.process.model_scene:Patient"}],
        model={
            "training_mode": "multi_symbol",
            "minimum_events": 10,
            "threshold": 0.01,
            "history": {"minimum_days": 4, "target_days": 6},
            "retrain": {
                "window_days": 1,
                "minimum_trades": 5,
                "minimum_gain": -0.5,
                "maximum_loss_rise": 0.9,
                "symbol_floor": None,
                "pause_hours": 0.0001,
            },
            "drift": {"minimum_trades": 30, "trades": 60},
            # a daemon that was stopped for a while has not been hanging
            "serving": {"poll_seconds": 0.3, "coalesce_ms": 5, "deadline_ms": 9_000, "hang_seconds": 600},
        },
    )
    del config["symbols"]
    return config
