"""`livebot backtest` in tests: a folder with a config, a peeking strategy beside it, and candles of two symbols."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from typer.testing import CliRunner

from livebot.cli.app import app
from tests.backtest.plans import candles

CONFIG = """
system: demo
market: spot
exchange: {id: simulator, simulator: {wallet: 10000}}
symbols: [AAA/USDT, BBB/USDT]
strategies:
  - %s
risk:
  sizing: {kind: fixed, notional: 1000}
  win_rate: null
"""
HONEST = (
    "{name: ema_cross, symbols: all, params: {timeframe: %s, fast: 3, slow: 8, rsi_period: 5, rsi_long_below: 99, "
    "expiry_minutes: 600}}"
)
PEEKING = "{class: 'tests.backtest.peekers:NextClose', symbols: all}"


def prepare(folder: Path, strategy: str = HONEST % "1m", *, count: int = 400, step: int = 1) -> None:
    (folder / "config.yaml").write_text(CONFIG % strategy)
    (folder / "candles").mkdir()
    for place, name in enumerate(("AAAUSDT", "BBBUSDT")):
        series = candles(place, count, step=step, volatility=0.002)
        columns = {each: getattr(series, each) for each in ("ts_ms", "open", "high", "low", "close", "volume")}
        pq.write_table(pa.table(columns), folder / "candles" / f"{name}.parquet")


def backtest(folder: Path, *arguments: object, code: int = 0) -> str:
    """What it prints on stdout; stderr too where it was called wrongly."""
    common = ("--config", folder / "config.yaml", "--candles", folder / "candles", "--jobs", "1")
    result = CliRunner().invoke(app, ["backtest", *map(str, (*common, *arguments))])
    assert result.exit_code == code, result.output
    return result.output if code == 2 else result.stdout
