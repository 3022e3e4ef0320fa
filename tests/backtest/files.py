"""Candle files and configs for tests of the command."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml
from pyarrow import parquet

from livebot.core.series import CandleSeries

SYMBOLS = ["AAA/USDT:USDT", "BBB/USDT:USDT"]


def write_candles(path: Path, series: CandleSeries) -> None:
    """A plain parquet file, as other programs write it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {name: getattr(series, name) for name in ("ts_ms", "open", "high", "low", "close", "volume")}
    parquet.write_table(pa.table(columns), path)


def write_config(folder: Path, **changes: Any) -> Path:
    """Two symbols and one strategy; `changes` replace whole sections."""
    config: dict[str, Any] = {
        "system": "tried",
        "market": "perpetual",
        "symbols": SYMBOLS,
        "strategies": [{"class": "tests.backtest.whims:Whim"}],
        "runtime": {"history": 20},
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config | changes))
    return path
