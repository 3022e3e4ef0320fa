"""`livebot backtest` with a universe: which symbols it takes, who was in when, and what is said of it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from livebot.bootstrap import past_members
from livebot.bootstrap.backtest import BacktestRequest, prepare
from livebot.core.market import DAY_MS, MINUTE_MS, Timeframe
from livebot.core.series import CandleSeries
from livebot.errors import BadInput
from tests.backtest.files import write_candles, write_config
from tests.backtest.plans import START_MS, candles
from tests.backtest.test_command import ask, refused, stored

MINUTES = 300
AAA, BBB, CCC, DDD = (f"{base}/USDT:USDT" for base in ("AAA", "BBB", "CCC", "DDD"))
TOP_TWO: dict[str, Any] = {"top": 2, "refresh_minutes": 60, "hysteresis": {"rank": 0, "minimum_stay_minutes": 0}}


def louder(series: CandleSeries, volume: float, since: int = 0) -> CandleSeries:
    """With this volume from some minute on, and hardly any before."""
    return replace(series, volume=np.where(np.arange(len(series)) < since, 1e-3, volume))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """AAA is the largest all the time; BBB is second until CCC's volume comes; DDD is small; XXX is denied."""
    shapes = {"AAA": (1e6, 0), "BBB": (10.0, 0), "CCC": (1000.0, 150), "DDD": (0.1, 0), "XXX": (1e9, 0)}
    for seed, (base, (volume, since)) in enumerate(shapes.items()):
        write_candles(tmp_path / "candles" / f"{base}USDT.parquet", louder(candles(seed, MINUTES), volume, since))
    return tmp_path / "candles"


def config_with(folder: Path, universe: dict[str, Any], **changes: Any) -> Path:
    values: dict[str, Any] = {"symbols": None, "universe": {"deny": ["XXX"], **universe}, **changes}
    return without_nothing(write_config(folder, **values))


def without_nothing(path: Path) -> Path:
    path.write_text(path.read_text().replace("symbols: null\n", ""))
    return path


def at(minute: int) -> int:
    return START_MS + minute * MINUTE_MS


def test_members_are_those_of_their_time(folder: Path, tmp_path: Path) -> None:
    """Each choice knows what had closed by then: at the start nothing, after three hours CCC's volume."""
    plan = prepare(config_with(tmp_path / "root", TOP_TWO), None, BacktestRequest(candles=folder)).plan
    assert plan.members == {
        AAA: ((at(60), at(MINUTES)),),
        BBB: ((at(60), at(180)),),
        CCC: ((at(180), at(MINUTES)),),
    }
    assert plan.symbols == (AAA, BBB, CCC)
    assert plan.strategies[0].symbols == (AAA, BBB, CCC)
    assert plan.candles.keys() == {AAA, BBB, CCC}


def test_the_report_says_who_was_in_when(folder: Path, tmp_path: Path) -> None:
    config = config_with(tmp_path / "root", {**TOP_TWO, "maximum_spread": 0.001, "minimum_age_days": 1})
    for base in ("AAA", "BBB", "CCC"):
        longer = louder(candles(1, 2 * 1440), 10.0)
        write_candles(folder / f"{base}USDT.parquet", longer)
    result = ask("--config", config, "--candles", folder, "--from", "2026-01-02", "--jobs", 1, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    notes = [note for note in told["notes"] if note.startswith("universe: ")]
    assert any("chosen anew every 60 minutes from the candles of 4 symbols; " in note for note in notes)
    assert any("in all the time: " in note for note in notes)
    assert any("do not tell the spread" in note for note in notes)
    assert any("when a venue stops trading a symbol" in note for note in notes)
    assert any("minimum_age_days counts from a symbol's first stored candle" in note for note in notes)
    assert {row["symbol"] for row in told["comparison"]} <= {AAA, BBB, CCC, "All"}


def test_notes_are_few_however_many_come_and_go() -> None:
    times = tuple((at(2 * each), at(2 * each + 1)) for each in range(10))
    spans = {f"S{place:03}/USDT": times for place in range(100)}
    said = list(past_members._told(spans, at(0), at(100)))
    assert len(said) == past_members.NAMED + 1
    assert said[0].endswith("and 7 more times")
    assert said[-1] == f"universe: {100 - past_members.NAMED} more symbols came and went"


def test_a_store_gives_all_of_its_symbols(tmp_path: Path) -> None:
    """In the timeframe that most of them have; what has another one only is no candidate."""
    config = config_with(tmp_path / "root", {"top": 3})
    for seed, symbol in enumerate((AAA, BBB, CCC)):
        stored(config.parent / "candles", symbol, Timeframe.M1, seed)
    stored(config.parent / "candles", DDD, Timeframe.H1, 9)
    plan = prepare(config, None, BacktestRequest()).plan
    assert plan.symbols == (AAA, BBB, CCC)
    assert plan.base is Timeframe.M1


def test_symbols_of_different_ages_count_while_they_have_candles(folder: Path, tmp_path: Path) -> None:
    """The range is that of all together: a young one joins, one that ended is gone a day after."""
    long = 3 * 1440
    write_candles(folder / "AAAUSDT.parquet", louder(candles(1, long), 10.0))
    plan = prepare(config_with(tmp_path / "root", {**TOP_TWO, "top": 9}), None, BacktestRequest(candles=folder)).plan
    assert (plan.start_ms, plan.end_ms) == (at(0), at(long))
    assert plan.members[AAA] == ((at(60), at(long)),)
    assert plan.members[BBB] == ((at(60), at(MINUTES) + DAY_MS),)
    assert any("not all symbols have candles for the whole time" in note for note in plan.notes)


def test_named_symbols_are_in_all_the_time(folder: Path, tmp_path: Path) -> None:
    request = BacktestRequest(candles=folder, symbols=(DDD,))
    plan = prepare(config_with(tmp_path / "root", TOP_TWO), None, request).plan
    assert plan.symbols == (DDD,)
    assert not plan.members
    assert "the universe was not looked at: --symbols says which symbols, all the time" in plan.notes


def test_what_a_strategy_looks_at_is_there_without_being_traded(folder: Path, tmp_path: Path) -> None:
    follower = {"class": "tests.backtest.whims:Follower", "params": {"other": DDD}, "symbols": [AAA, CCC]}
    config = config_with(tmp_path / "root", {**TOP_TWO, "always": [DDD]}, strategies=[follower])
    plan = prepare(config, None, BacktestRequest(candles=folder)).plan
    assert plan.symbols == (AAA, DDD)  # DDD has the second place, so that CCC never comes in
    assert plan.strategies[0].symbols == (AAA,)


@pytest.mark.parametrize(
    ("universe", "words"),
    [
        ({"minimum_volume": 1e15}, "none of the 4 symbols that have candles passed its filters at any time"),
        ({"allow": ["NOBODY"]}, "has candles of 5 perpetual symbols, and none of them passes quote, allow and deny"),
    ],
)
def test_a_universe_of_nobody(folder: Path, tmp_path: Path, universe: dict[str, Any], words: str) -> None:
    text = refused("--config", config_with(tmp_path / "root", universe), "--candles", folder)
    assert words in text
    assert "--symbols" in text


def test_a_store_of_nothing(tmp_path: Path) -> None:
    assert "livebot data fetch" in refused("--config", config_with(tmp_path / "root", TOP_TWO))


def test_a_strategy_that_runs_on_none_of_them(folder: Path, tmp_path: Path) -> None:
    elsewhere = [{"class": "tests.backtest.whims:Whim", "symbols": [DDD]}]
    config = config_with(tmp_path / "root", {**TOP_TWO, "always": [DDD], "allow": ["AAA"]}, strategies=elsewhere)
    (folder / "DDDUSDT.parquet").unlink()
    with pytest.raises(BadInput, match="no strategy of the config runs on a symbol that was in the universe"):
        prepare(config, None, BacktestRequest(candles=folder))
