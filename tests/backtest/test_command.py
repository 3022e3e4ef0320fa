"""`livebot backtest` as an operator uses it: what it prints, what it writes, and what it refuses."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from typer.testing import CliRunner, Result

from livebot.adapters.state_files.codec import Codec
from livebot.adapters.state_files.file_layer import SystemFiles
from livebot.cli.app import app
from livebot.core.facts import Fact
from livebot.core.market import Timeframe
from livebot.history.place import Place
from livebot.history.store import CandleStore
from livebot.history.table import VALUES, CandleTable
from tests.backtest.files import SYMBOLS, write_candles, write_config
from tests.backtest.plans import START_MS, candles

MINUTES = 300
FACT: Codec[Fact] = Codec(Fact)


def ask(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["backtest", *map(str, arguments)])


def said(result: Result) -> str:
    """All that was said, as one line without breaks."""
    return " ".join((result.stdout + result.stderr).split())


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path / "root")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed, name in enumerate(("AAA", "BBB")):
        write_candles(tmp_path / "candles_1m" / f"{name}USDT.parquet", candles(seed, MINUTES))
    return tmp_path / "candles_1m"


def test_the_comparison_of_symbols_comes_first(config: Path, folder: Path) -> None:
    """And everything is written down."""
    result = ask("--config", config, "--candles", folder, "--name", "first", "--jobs", 1)
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines() if line]
    assert lines[2][:3] == ["Symbol", "Signals", "Win"]
    assert [line[0] for line in lines[3:6]] == [*SYMBOLS, "All"]
    written = config.parent / "state" / "backtests" / "first"
    assert str(written) in said(result)
    assert {path.name for path in written.iterdir()} == {"report.md", "report.json", "report.html", "facts.jsonl"}
    facts = [FACT.from_json(line) for line in (written / "facts.jsonl").read_bytes().splitlines()]
    assert sorted(facts, key=lambda fact: fact.ts_ms) == facts
    assert len(facts) > 50


def test_json_says_the_same(config: Path, folder: Path) -> None:
    result = ask("--config", config, "--candles", folder, "--json")
    told = json.loads(result.stdout)
    assert [row["symbol"] for row in told["comparison"]] == [*SYMBOLS, "All"]
    assert json.loads((Path(told["folder"]) / "report.json").read_bytes())["comparison"] == told["comparison"]


def test_the_second_run_finds_its_features(config: Path, folder: Path) -> None:
    """They lie in the state folder; the result is the same with and without."""
    write_config(
        config.parent,
        strategies=[{"name": "ema_cross", "params": {"timeframe": "1m", "fast": 2, "slow": 4, "rsi_period": 2}}],
    )
    runs = [json.loads(ask("--config", config, "--candles", folder, "--json").stdout) for _ in range(2)]
    kept = list((config.parent / "state" / "cache" / "features").glob("*.npy"))
    assert len(kept) == len(SYMBOLS)
    assert runs[0]["trades"] == runs[1]["trades"]


def test_a_part_of_the_time_and_of_the_symbols(config: Path, folder: Path) -> None:
    result = ask(
        "--config", config, "--candles", folder, "--symbols", "AAA/USDT:USDT",
        "--from", "2026-01-01T01:00", "--to", "2026-01-01T02:00", "--json",
    )  # fmt: skip
    told = json.loads(result.stdout)
    assert told["start_ms"] == START_MS + 3_600_000
    assert told["end_ms"] == START_MS + 7_200_000
    assert [row["symbol"] for row in told["comparison"]] == ["AAA/USDT:USDT", "All"]
    assert any("BBB/USDT:USDT" in note for note in told["notes"])


def stored(folder: Path, symbol: str, timeframe: Timeframe, seed: int, venue: str = "bybit") -> None:
    """Candles in a store."""
    series = candles(seed, MINUTES, step=timeframe.ms // 60_000)
    table = CandleTable(series.ts_ms, np.stack([getattr(series, name) for name in VALUES]))
    with CandleStore(folder, SystemFiles()).writing(Place(venue, "perpetual", timeframe, symbol)) as writer:
        writer.merge(table)


def test_a_store_gives_its_shortest_candles(config: Path) -> None:
    """Without --candles it is the root's own."""
    for seed, symbol in enumerate(SYMBOLS):
        stored(config.parent / "candles", symbol, Timeframe.M1, seed)
        stored(config.parent / "candles", symbol, Timeframe.H1, seed)
    told = json.loads(ask("--config", config, "--json").stdout)
    assert told["end_ms"] - told["start_ms"] == MINUTES * 60_000


def test_hourly_candles_are_known_when_they_have_closed(config: Path) -> None:
    """A strategy on 1h runs on 1h candles, and nothing happens inside one."""
    write_config(
        config.parent,
        strategies=[{"class": "tests.backtest.whims:Whim", "params": {"timeframe": "1h", "minutes": 200}}],
        backtest={"latency_ms": 200},
    )
    for seed, symbol in enumerate(SYMBOLS):
        stored(config.parent / "candles", symbol, Timeframe.H1, seed)
    told = json.loads(ask("--config", config, "--json").stdout)
    assert told["pooled"]["signals"] > 10
    assert all(trade["opened_ms"] % 3_600_000 == 0 for trade in told["trades"])
    assert any("200 ms late" in note for note in told["notes"])


def test_funding_is_paid_from_the_equity(config: Path, folder: Path) -> None:
    hours = START_MS + np.arange(1, 5) * 3_600_000
    for name in ("AAA", "BBB"):
        rates = pa.table({"ts_ms": hours, "rate": np.full(4, 0.01)})
        (config.parent / "funding").mkdir(exist_ok=True)
        parquet.write_table(rates, config.parent / "funding" / f"{name}USDT.parquet")
    write_config(
        config.parent,
        backtest={"funding": "funding"},
        strategies=[
            {"class": "tests.backtest.whims:Whim", "params": {"rarity": 1, "minutes": 120, "stop": 0.2, "target": 0.2}}
        ],
    )
    told = json.loads(ask("--config", config, "--candles", folder, "--json").stdout)
    assert any(note.startswith("funding: ") for note in told["notes"])


# What is refused


def refused(*arguments: object, code: int = 2) -> str:
    result = ask(*arguments)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return said(result)


def test_a_symbol_without_candles(config: Path, folder: Path) -> None:
    (folder / "BBBUSDT.parquet").unlink()
    text = refused("--config", config, "--candles", folder)
    assert "no candles of BBB/USDT:USDT" in text
    assert "BBBUSDT.parquet" in text


def test_a_symbol_that_the_store_lacks(config: Path) -> None:
    stored(config.parent / "candles", SYMBOLS[0], Timeframe.M1, 1)
    text = refused("--config", config)
    assert "no 1m candles of BBB/USDT:USDT" in text
    assert "livebot data fetch --symbols BBB/USDT:USDT" in text


def test_a_store_without_any(config: Path) -> None:
    assert "livebot data fetch" in refused("--config", config)


def test_a_store_of_two_venues(config: Path) -> None:
    for venue in ("bybit", "binance"):
        for symbol in SYMBOLS:
            stored(config.parent / "candles", symbol, Timeframe.M1, 1, venue)
    assert "binance, bybit; say which" in refused("--config", config)


def test_a_folder_that_is_not_there(config: Path, tmp_path: Path) -> None:
    assert "no folder" in refused("--config", config, "--candles", tmp_path / "nowhere")


@pytest.mark.parametrize(
    "span", [("2026-01-02", "2026-01-03"), ("2026-01-01T02:00", "2026-01-01T02:00"), ("2024-01-01", "2024-02-01")]
)
def test_an_empty_range(config: Path, folder: Path, span: tuple[str, str]) -> None:
    text = refused("--config", config, "--candles", folder, "--from", span[0], "--to", span[1])
    assert "nothing to run from" in text
    assert "--from" in text


def test_more_candles_wanted_than_there_are(config: Path, folder: Path) -> None:
    write_config(config.parent, strategies=[{"name": "ema_cross", "params": {"timeframe": "1m"}}])
    text = refused("--config", config, "--candles", folder)
    assert "AAA/USDT:USDT: strategy ema_cross needs 633 closed candles of 1m" in text or "needs" in text
    assert "fetch more candles" in text


def test_a_file_of_another_timeframe_than_its_folder_says(config: Path, folder: Path) -> None:
    write_candles(folder / "BBBUSDT.parquet", candles(1, MINUTES, step=5))
    text = refused("--config", config, "--candles", folder)
    assert "BBBUSDT.parquet" in text
    assert "5m candles, and its folder says 1m" in text


def test_files_of_two_timeframes(config: Path, tmp_path: Path) -> None:
    write_candles(tmp_path / "mixed" / "AAAUSDT.parquet", candles(1, MINUTES))
    write_candles(tmp_path / "mixed" / "BBBUSDT.parquet", candles(1, MINUTES, step=5))
    assert "BBBUSDT.parquet: holds 5m candles, and AAAUSDT.parquet holds 1m" in refused(
        "--config", config, "--candles", tmp_path / "mixed"
    )


def test_candles_longer_than_the_strategys(config: Path, tmp_path: Path) -> None:
    for name in ("AAA", "BBB"):
        write_candles(tmp_path / "long" / f"{name}USDT.parquet", candles(1, MINUTES, step=60))
    text = refused("--config", config, "--candles", tmp_path / "long")
    assert "holds 1h candles, and strategy whim decides on 1m" in text


def test_times_in_seconds(config: Path, folder: Path) -> None:
    series = candles(1, MINUTES)
    write_candles(folder / "BBBUSDT.parquet", replace(series, ts_ms=series.ts_ms // 1000))
    text = refused("--config", config, "--candles", folder)
    assert "BBBUSDT.parquet: row 1" in text
    assert "seconds" in text


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        ("Unfeatured", "feature 'nothing' is not declared"),
        ("Answering", "it must be Entry or None"),
        ("Adjusting", "it must be Adjustment or None"),
        ("Stumbling", "manage of strategy stumbling on"),
    ],
)
def test_a_strategy_that_fails(config: Path, folder: Path, strategy: str, words: str) -> None:
    """Named with its symbol and the close."""
    write_config(config.parent, strategies=[{"class": f"tests.backtest.failing:{strategy}"}])
    text = refused("--config", config, "--candles", folder)
    assert words in text
    assert "/USDT:USDT" in text
    assert "2026-01-01 0" in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"runtime": {"mode": "sequential"}}, "mode: parallel"),
        ({"backtest": {"latency_ms": 60_000}}, "latency of 60000 ms"),
        ({"backtest": {"funding": "rates"}}, "no rates of AAA/USDT:USDT"),
        ({"backtest": {"unknown": 1}}, "unknown key"),
    ],
)
def test_settings_that_cannot_be_tried(config: Path, folder: Path, changes: dict[str, Any], words: str) -> None:
    write_config(config.parent, **changes)
    assert words in refused("--config", config, "--candles", folder)


def test_funding_rates_that_are_none(config: Path, folder: Path) -> None:
    write_config(config.parent, backtest={"funding": "rates"})
    write_candles(config.parent / "rates" / "AAAUSDT.parquet", candles(1, 3))
    assert "it needs columns ts_ms and rate" in refused("--config", config, "--candles", folder)
    twice = pa.table({"ts_ms": [1, 1], "rate": [0.1, 0.1]})
    parquet.write_table(twice, config.parent / "rates" / "AAAUSDT.parquet")
    assert "ts_ms must rise" in refused("--config", config, "--candles", folder)


def test_symbols_that_no_strategy_runs_on(config: Path, folder: Path) -> None:
    assert "no strategy of the config runs on" in refused(
        "--config", config, "--candles", folder, "--symbols", "CCC/USDT:USDT"
    ) or "CCC" in refused("--config", config, "--candles", folder, "--symbols", "CCC/USDT:USDT")
    assert "--symbols is empty" in refused("--config", config, "--candles", folder, "--symbols", ",")


def test_a_name_that_leads_elsewhere(config: Path, folder: Path) -> None:
    assert "--name '../x'" in refused("--config", config, "--candles", folder, "--name", "../x")
