"""The promise of the backtest: fact by fact what `livebot run` gives on the simulator over the same candles."""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from livebot.adapters.ledger.ledger_reader import LedgerReader
from livebot.adapters.state_files.codec import Codec
from livebot.backtest.result import BacktestResult
from livebot.backtest.run import run
from livebot.bootstrap.backtest import BacktestRequest, prepare
from livebot.core.facts import Fact, SignalClosed, SignalOpening
from livebot.core.series import CandleSeries
from livebot.core.signal import CancelReason
from tests.backtest.files import write_candles
from tests.backtest.plans import candles
from tests.process.daemons import CHECKOUT, Launcher, Root
from tests.process.truth import facts_in

DATA = CHECKOUT.parent / "shared" / "data" / "perp_1m"
MINUTES = 400
REAL_MINUTES = 24 * 60
SYMBOLS = ["AAA/USDT:USDT", "BBB/USDT:USDT", "CCC/USDT:USDT"]
FACT: Codec[Fact] = Codec(Fact)
Facts = dict[tuple[str, str], list[dict[str, Any]]]
OFF: dict[str, Any] = {"loss_limit": None, "win_rate": None}

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

PLAN: dict[str, Any] = {
    "trailing": {"distance": Decimal("0.003"), "after": Decimal("0.002")},
    "break_even": {"after": Decimal("0.003"), "offset": Decimal("0.001")},
    "partial_levels": [
        {"gain": Decimal("0.002"), "fraction": Decimal("0.4")},
        {"gain": Decimal("0.004"), "fraction": Decimal("0.3")},
    ],
    "averaging": {"step": Decimal("0.002"), "fraction": Decimal("0.5"), "times": 2},
}
SCENES: dict[str, dict[str, Any]] = {
    "plain": {
        "risk": {
            **OFF,
            "sizing": {"kind": "fixed", "notional": 500},
            "limits": dict.fromkeys(
                ("open_signals", "gross_exposure", "orders_per_minute", "daily_loss", "drawdown"), None
            ),
        }
    },
    "managed": {"risk": {**OFF, "exits": PLAN}},
    "limits": {
        "risk": {
            "sizing": {"kind": "fraction", "fraction": Decimal("0.4")},
            "limits": {"open_signals": 2, "gross_exposure": Decimal("0.7"), "daily_loss": Decimal("0.01")},
            "loss_limit": {"ratio": Decimal("0.02"), "action": "flatten"},
            "win_rate": {"minimum": Decimal("0.5"), "trades": 3, "off_hours": 1},
        }
    },
    "resting": {
        "risk": OFF,
        "execution": {
            "entry": "limit",
            "limit_offset": Decimal("0.0005"),
            "limit_timeout_seconds": 120,
            "limit_reprices": 2,
            "limit_chase": Decimal("0.003"),
            "post_only": True,
        },
    },
    "resting_losses": {  # trading that is REDUCING takes back what rests
        "risk": {
            **OFF,
            "sizing": {"kind": "fraction", "fraction": Decimal("0.4")},
            "limits": {"gross_exposure": None, "daily_loss": Decimal("0.004")},
        },
        "execution": {"entry": "limit", "limit_offset": Decimal("0.002"), "limit_timeout_seconds": 3000},
    },
}


def small_config(folder: Path, scene: str) -> dict[str, Any]:
    """Three symbols of candles by chance, and strategies that do everything there is to do."""
    folder.mkdir()
    for place, symbol in enumerate(SYMBOLS):
        write_candles(folder / f"{symbol.partition('/')[0]}USDT.parquet", candles(40 + place, MINUTES))
    strategies = [{"class": "tests.backtest.whims:Whim", "params": {"rarity": 4, "limits": scene == "managed"}}]
    if scene != "plain":
        strategies.append({"class": "tests.backtest.whims:Restless", "params": {"rarity": 3, "timeframe": "5m"}})
        strategies.append({"class": "tests.backtest.whims:Follower", "symbols": SYMBOLS[:1]})
    simulator = {"candles": str(folder), "speed": 0, "start": "2026-01-01T00:37Z", "partial_fills": scene == "managed"}
    return {
        "system": "same",
        "market": "perpetual",
        "exchange": {"id": "simulator", "simulator": simulator},
        "symbols": SYMBOLS,
        "strategies": strategies,
        "runtime": {"history": 30},
        **SCENES[scene],
    }


def real_config(scene: str) -> dict[str, Any]:
    """config.yaml as it is shipped, on a day of real candles."""
    config: dict[str, Any] = yaml.load((CHECKOUT / "config.yaml").read_text(), Decimals)
    config["exchange"]["simulator"] |= {"candles": str(DATA), "speed": 0, "minutes": REAL_MINUTES}
    if scene == "managed":
        config["risk"] |= {"exits": PLAN}
    return config


class Decimals(yaml.SafeLoader):
    """Numbers keep their digits."""


Decimals.add_constructor("tag:yaml.org,2002:float", lambda loader, node: Decimal(loader.construct_scalar(node)))
yaml.SafeDumper.add_representer(
    Decimal, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:float", str(value))
)


def compare(root: Root, launcher: Launcher) -> list[Fact]:
    """Run both; the facts of the backtest, once they are found to be those of the daemon."""
    return list(compare_all(root, launcher).facts)


def compare_all(root: Root, launcher: Launcher) -> BacktestResult:
    """Run both; the backtest, once its facts are found to be those of the daemon."""
    with launcher.start(root) as daemon:
        assert daemon.wait(240) == 0, daemon.tail()
    live = facts_in(root.ledger)
    result = run(prepare(root.config, None, BacktestRequest()).plan)
    ours = by_key(json.loads(FACT.to_json(fact)) for fact in result.facts)
    found = differences(by_key(live), ours)
    assert not found, "\n".join(found)
    return result


def differences(live: Facts, ours: Facts) -> list[str]:
    """The first fact of each (strategy, symbol) that is not the same, or is there in one of them only."""
    found = []
    for key in sorted(live.keys() | ours.keys()):
        pairs = zip_longest(live.get(key, []), ours.get(key, []))
        found += [f"{key}: daemon {one}\n    backtest {other}" for one, other in pairs if one != other][:1]
    return found


def by_key(facts: Iterable[dict[str, Any]]) -> Facts:
    """Each (strategy, symbol) by itself: among them the ledger keeps no order."""
    found: Facts = defaultdict(list)
    for fact in facts:
        found[fact["strategy"], fact["symbol"]].append(fact)
    return found


@pytest.mark.untraced
@pytest.mark.parametrize("scene", SCENES)
def test_candles_by_chance(tmp_path: Path, launcher: Launcher, scene: str) -> None:
    """With portfolio limits, losses, trailing, partial targets, averaging, resting entries and other symbols."""
    facts = compare(Root(tmp_path / "root", small_config(tmp_path / "data", scene)), launcher)
    assert sum(isinstance(fact, SignalClosed) for fact in facts) > 5
    taken_back = any(getattr(fact, "reason", None) is CancelReason.TRADING_STATE for fact in facts)
    assert taken_back or scene != "resting_losses"


ROUNDS: dict[str, dict[str, Any]] = {
    "by confidence": {
        "sizing": {"kind": "fraction", "fraction": Decimal("0.3")},
        "limits": {"open_signals": 2, "gross_exposure": Decimal("0.7")},
        "round": {"policy": "ranked"},
    },
    "kelly": {
        "sizing": {"kind": "kelly", "kelly_fraction": Decimal("0.2"), "maximum_fraction": Decimal("0.5")},
        "limits": {"open_signals": 1, "gross_exposure": Decimal("0.8"), "daily_loss": Decimal("0.05")},
        "loss_limit": {"ratio": Decimal("0.08"), "action": "flatten"},
        "round": {"policy": "ranked"},
        "exits": PLAN,
    },
    "volatility, by a scorer": {
        "sizing": {"kind": "volatility", "fraction": Decimal("0.001"), "maximum_fraction": Decimal("0.6"), "period": 5},
        "limits": {"open_signals": 3, "open_signals_per_strategy": 2, "gross_exposure": Decimal("0.9")},
        "win_rate": {"minimum": Decimal("0.5"), "trades": 3, "off_hours": 1},
        "round": {"policy": "ranked", "scorer": "tests.backtest.whims:smallest"},
    },
}


@pytest.mark.untraced
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("scene", ROUNDS)
def test_rounds_in_which_there_is_too_little_for_all(tmp_path: Path, launcher: Launcher, scene: str, seed: int) -> None:
    """The same strategies get what there is, by rank, and the others are denied the same way."""
    config = small_config(tmp_path / "data", "limits")
    confident = {"confident": True, "seed": seed}
    config["strategies"] = [
        {"class": "tests.backtest.whims:Whim", "params": {"rarity": 3, **confident}},
        {"class": "tests.backtest.whims:Restless", "params": {"rarity": 2, "timeframe": "5m", **confident}},
        {"class": "tests.backtest.whims:Follower", "symbols": SYMBOLS[:1]},
    ]
    config["runtime"]["history"] = 60
    config["exchange"]["simulator"]["start"] = "2026-01-01T01:07Z"
    config["risk"] = OFF | ROUNDS[scene]
    root = Root(tmp_path / "root", config)
    result = compare_all(root, launcher)
    with LedgerReader(root.ledger) as reader:
        told = {(each.close_ms, each.symbol, each.strategy): each for each in reader.decisions()}
    ours = {(each.close_ms, each.symbol, each.strategy): each for each in result.verdicts}
    assert told == ours
    rounds = rounds_in(root)
    assert {each["ended"] for each in rounds} == {"all_spoken"}
    bound = [each["places"] for each in rounds if {"approved", "denied"} <= {one["outcome"] for one in each["places"]}]
    assert len(bound) > 3
    assert any(places[0]["symbol"] > places[1]["symbol"] for places in bound)


def rounds_in(root: Root) -> list[dict[str, Any]]:
    """All rounds that the journal tells of."""
    days = sorted((root.folder / "state" / "journal").iterdir())
    rows = [json.loads(line) for day in days for line in day.read_text().splitlines()]
    return [row for row in rows if row["type"] == "Round"]


@pytest.mark.untraced
def test_hourly_candles(tmp_path: Path, launcher: Launcher) -> None:
    """A folder of longer candles, played minute by minute: nothing is known before an hour has closed."""
    config = small_config(tmp_path / "data", "plain")
    for place, symbol in enumerate(SYMBOLS):
        write_candles(
            tmp_path / "tried_1h" / f"{symbol.partition('/')[0]}USDT.parquet", candles(50 + place, 60, step=60)
        )
    config["strategies"] = [
        {"class": "tests.backtest.whims:Whim", "params": {"rarity": 2, "timeframe": "1h", "minutes": 200}}
    ]
    config["exchange"]["simulator"] |= {"candles": str(tmp_path / "tried_1h"), "start": "2026-01-01T08:00Z"}
    facts = compare(Root(tmp_path / "root", config), launcher)
    assert sum(isinstance(fact, SignalClosed) for fact in facts) > 5


BASES = ("AAA", "BBB", "CCC", "DDD", "EEE")
BLOCK = 40  # minutes for which two of them have most of the volume


@pytest.mark.untraced
def test_a_universe_that_changes(tmp_path: Path, launcher: Launcher) -> None:
    """Symbols come and go by their volume, and some of them leave while something is open there."""
    config = small_config(tmp_path / "unused", "managed")
    for place, base in enumerate(BASES):
        write_candles(tmp_path / "data" / f"{base}USDT.parquet", with_turns(candles(60 + place, MINUTES), place))
    del config["symbols"]
    config["strategies"] = config["strategies"][:2]
    config["universe"] = {"top": 2, "refresh_minutes": 30, "hysteresis": {"rank": 0, "minimum_stay_minutes": 0}}
    config["exchange"]["simulator"]["candles"] = str(tmp_path / "data")
    root = Root(tmp_path / "root", config)
    facts = compare(root, launcher)
    members = prepare(root.config, None, BacktestRequest()).plan.members
    # An entry decided at the very close at which its symbol leaves may still be on its way when the daemon looks.
    leaves = {(symbol, stop_ms) for symbol, spans in members.items() for _, stop_ms in spans}
    assert not any(isinstance(each, SignalOpening) and (each.symbol, each.ts_ms) in leaves for each in facts)
    closed = [fact for fact in facts if isinstance(fact, SignalClosed)]
    assert len(closed) > 10
    assert len(members) == len(BASES)
    assert sum(map(len, members.values())) > len(BASES)
    assert any(not is_member(members[each.symbol], each.ts_ms) for each in closed)  # managed to its close
    assert all(is_member(members[each.symbol], each.ts_ms) for each in facts if isinstance(each, SignalOpening))


def with_turns(series: CandleSeries, place: int) -> CandleSeries:
    """With a volume that is by far the largest so far whenever it is this one's turn."""
    blocks = np.arange(len(series)) // BLOCK
    turns = (blocks % len(BASES) == place) | ((2 * blocks + 1) % len(BASES) == place)
    return replace(series, volume=(1 + series.volume) * np.where(turns, 4.0**blocks, 1.0))


def is_member(spans: tuple[tuple[int, int], ...], close_ms: int) -> bool:
    return any(first_ms < close_ms <= stop_ms for first_ms, stop_ms in spans)


@pytest.mark.untraced
@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the folder shared/data/perp_1m is not there")
@pytest.mark.parametrize("scene", ["shipped", "managed"])
def test_a_day_of_real_candles(tmp_path: Path, launcher: Launcher, scene: str) -> None:
    """With the strategies, sizes and limits of the shipped config."""
    facts = compare(Root(tmp_path / "root", real_config(scene)), launcher)
    assert sum(isinstance(fact, SignalClosed) for fact in facts) > 20
