"""Every limit denies in the backtest what it denies in `livebot run` on the simulator, with the same code and the same figures."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from livebot.adapters.ledger.ledger_reader import LedgerReader
from tests.backtest.test_same_as_daemon import OFF, PLAN, SYMBOLS, compare_all, small_config
from tests.process.daemons import Launcher, Root

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

SIZING = {"kind": "fraction", "fraction": Decimal("0.3")}
NONE: dict[str, Any] = dict.fromkeys(
    ("open_signals", "gross_exposure", "orders_per_minute", "daily_loss", "drawdown"), None
)
# by name: the limits, and the codes of those that say no in these candles
SCENES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "exposures": (
        {
            "net_exposure": Decimal("0.5"),
            "symbol_exposure": Decimal("0.45"),
            "base_exposure": Decimal("0.45"),
            "risk_per_trade": Decimal("0.0013"),
            "risk_in_all": Decimal("0.003"),
            "open_signals_per_strategy": 2,
        },
        {"net_exposure", "symbol_exposure", "risk_per_trade", "risk_in_all"},
    ),
    "orders": (
        {
            "order_notional": Decimal("2999.7"),
            "price_collar": Decimal("0.0015"),
            "minimum_confidence": Decimal("0.3"),
            "duplicate_order_seconds": 3600,
            "stale_data_seconds": 3600,
        },
        {"order_notional", "price_collar", "minimum_confidence", "duplicate_order"},
    ),
    "over time": (
        {
            "orders_per_second": 2,
            "losing_streak": {"losses": 2, "cooldown_minutes": 15, "scope": "symbol"},
            "repeated_executions": {"maximum": 5, "window_hours": 3},
        },
        {"orders_per_second", "losing_streak", "repeated_executions"},
    ),
    "a streak of all": (
        {
            "losing_streak": {"losses": 3, "cooldown_minutes": 30},
            "base_exposure": Decimal("0.4"),
            "orders_per_day": 60,
        },
        {"losing_streak", "base_exposure", "orders_per_day"},
    ),
}


@pytest.mark.untraced
@pytest.mark.parametrize("scene", SCENES)
def test_the_same_is_denied(tmp_path: Path, scene: str, launcher: Launcher) -> None:
    """Decision by decision, and so fact by fact."""
    limits, expected = SCENES[scene]
    config = small_config(tmp_path / "data", "limits")
    confident = {"confident": scene == "orders"}
    config["strategies"] = [
        {"class": "tests.backtest.whims:Whim", "params": {"rarity": 3, "limits": True, **confident}},
        {"class": "tests.backtest.whims:Restless", "params": {"rarity": 2, "timeframe": "5m", **confident}},
        {"class": "tests.backtest.whims:Follower", "symbols": SYMBOLS[:1]},
    ]
    config["risk"] = {**OFF, "exits": PLAN, "sizing": SIZING, "limits": NONE | limits}
    root = Root(tmp_path / "root", config)
    result = compare_all(root, launcher)
    with LedgerReader(root.ledger) as reader:
        told = {(each.close_ms, each.symbol, each.strategy): each for each in reader.decisions()}
    ours = {(each.close_ms, each.symbol, each.strategy): each for each in result.verdicts}
    assert told == ours
    assert expected <= {each.code for each in ours.values()}
