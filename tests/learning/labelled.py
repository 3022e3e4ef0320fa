"""Labels and the backtest's own trades of the same plan, side by side; plans on real candles where there are any."""

from collections import Counter
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from livebot.backtest.candles import from_folder
from livebot.backtest.engine import run_whole, tapes_of
from livebot.backtest.feature_cache import FeatureCache
from livebot.backtest.frames import Frames
from livebot.backtest.instance import Instance
from livebot.backtest.plan import BacktestPlan, StrategyRun
from livebot.core.entry import NO_EXIT_PLAN
from livebot.core.facts import EntryCancelled, SignalClosed, SignalOpening, SignalScheduled
from livebot.core.market import DAY_MS, MINUTE_MS
from livebot.core.rules import EntryRules, FixedNotional, Rules
from livebot.core.signal import CloseReason
from livebot.features.declaration import Feature
from livebot.learning.building import quiet
from livebot.learning.dataset import EXPIRED, STOPPED, TARGET
from livebot.learning.events import Event, asking_plan, events_of
from livebot.learning.labels import Labels, Outcome
from livebot.simulator.market import Fees
from livebot.simulator.matching import FillModel
from livebot.simulator.replay import instrument_of
from livebot.strategies.evidence import with_evidence
from livebot.strategies.registry import load

FEW: tuple[Feature, ...] = ()  # a model's features settle late, and no label depends on them
SPOT_1H = Path(__file__).resolve().parents[3] / "shared" / "data" / "spot_1h"
STUDY = ("BTC/USDT", "DOGE/USDT", "ETH/USDT", "LINK/USDT", "SOL/USDT")
needs_spot = pytest.mark.skipif(not SPOT_1H.is_dir(), reason="the folder shared/data/spot_1h is not there")

Key = tuple[str, int]  # symbol, close_ms
REASONS = {
    CloseReason.TAKE_PROFIT: TARGET,
    CloseReason.TIME_EXPIRED: EXPIRED,
    CloseReason.STOP_LOSS: STOPPED,
    CloseReason.UNPROTECTED: STOPPED,
}


@dataclass(frozen=True, slots=True)
class Taken:
    """What the backtest made of a signal: an outcome, or why it never opened."""

    end_ms: int
    barrier: int | None
    gain: float
    cancelled: str = ""


def outcomes(plan: BacktestPlan, features: tuple[Feature, ...] = FEW) -> dict[Key, tuple[Event, Outcome | str]]:
    """What the labels say of each event of the plan's only strategy."""
    (run,) = plan.strategies
    asking = asking_plan(plan, run.id, features)
    tapes = tapes_of(asking)
    frames = Frames(tapes, plan.start_ms // MINUTE_MS, plan.end_ms // MINUTE_MS, FeatureCache(None, 0))
    found = {}
    for symbol in run.symbols:
        instance = Instance(asking, asking.strategies[0], symbol, frames)
        labels = Labels(asking, symbol, tapes[symbol])
        for event in events_of(asking, instance, tapes[symbol], Counter(), lambda _minute: None):
            found[symbol, event.close_ms] = event, labels.outcome(event)
    return found


def taken(plan: BacktestPlan, features: tuple[Feature, ...] = FEW) -> dict[Key, Taken]:
    """What the backtest takes, as far as it ends."""
    runs = tuple(replace(run, strategy_class=with_evidence(run.strategy_class, features)) for run in plan.strategies)
    began: dict[str, Key] = {}
    found: dict[Key, Taken] = {}
    for fact in run_whole(replace(plan, strategies=runs), quiet).facts:
        if isinstance(fact, SignalOpening | SignalScheduled):
            began[fact.signal_id] = fact.symbol, fact.ts_ms
        elif isinstance(fact, SignalClosed):
            key = began[fact.signal_id]
            found[key] = Taken(fact.ts_ms, REASONS[fact.reason], float(fact.pnl_ratio))
        elif isinstance(fact, EntryCancelled):
            found[began[fact.signal_id]] = Taken(fact.ts_ms, None, 0.0, f"entry_{fact.reason.value}")
    return found


def require_same(plan: BacktestPlan, features: tuple[Feature, ...] = FEW, tolerance: float = 1e-12) -> Counter[object]:
    """Hold what the backtest took against the labels; says how many of each barrier (or reason) were compared.

    Only what was closed at the last open that there is may be lacking: that open is a guess of the backtest's.
    """
    labelled, compared = outcomes(plan, features), Counter[object]()
    last_ms = {symbol: int(plan.candles[symbol].ts_ms[-1]) + plan.base.ms for symbol in plan.symbols}
    for (symbol, close_ms), trade in taken(plan, features).items():
        _, outcome = labelled[symbol, close_ms]
        if isinstance(outcome, str):
            assert outcome == trade.cancelled or (trade.end_ms >= last_ms[symbol] and trade.barrier != TARGET), trade
            compared[outcome] += 1
        else:
            end_ms = max(trade.end_ms, close_ms + MINUTE_MS)  # what ends at the very open it began with
            assert (outcome.end_ms, outcome.barrier) == (end_ms, trade.barrier), (symbol, close_ms)
            assert abs(outcome.gain - trade.gain) <= tolerance, (symbol, close_ms, outcome, trade)
            compared[outcome.barrier] += 1
    return compared


def real_plan(name: str, symbols: tuple[str, ...] = STUDY, *, days: int, **params: Any) -> BacktestPlan:
    """A shipped strategy on the last so many days of real hours, a tenth of a percent a trade."""
    found, fees = from_folder(SPOT_1H, symbols), Fees(taker=Decimal("0.001"), maker=Decimal("0.001"))
    end_ms = min(int(table.ts_ms[-1]) for table in found.tables.values()) // DAY_MS * DAY_MS
    instruments = {symbol: instrument_of(symbol, found.tables[symbol], fees) for symbol in symbols}
    kind = load(name)
    return BacktestPlan(
        system="real",
        strategies=(StrategyRun(id=name, strategy_class=kind, params=kind.Params(**params), symbols=symbols),),
        symbols=symbols,
        instruments=instruments,
        candles={symbol: found.tables[symbol].between(0, end_ms + found.base.ms).series() for symbol in symbols},
        start_ms=end_ms - days * DAY_MS,
        end_ms=end_ms,
        wallet=Decimal(1_000_000),
        rules=Rules(
            system="real",
            strategy="",
            instrument=instruments[symbols[0]],
            sizing=FixedNotional(Decimal(1000)),
            entry=EntryRules(),
            exits=NO_EXIT_PLAN,
            schedule_ms=60 * MINUTE_MS,
        ),
        fills=FillModel(),
        base=found.base,
    )
