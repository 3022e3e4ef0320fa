"""What a run saw and said, so that two runs can be held against each other.

Rules of this file: a strategy that is watched answers as ever; after the moment up to which it is watched it is not asked
any more, whatever the candles say there.
"""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from livebot.backtest.engine import tapes_of
from livebot.backtest.feature_cache import FeatureCache
from livebot.backtest.frames import Frames
from livebot.backtest.plan import BacktestPlan, StrategyRun
from livebot.core.entry import Adjustment, Entry
from livebot.core.market import MINUTE_MS
from livebot.core.series import Floats, Times
from livebot.core.signal import Open as OpenSignal
from livebot.strategies.interface import Strategy, View

DECIDE, MANAGE = "decide", "manage"

Pair = tuple[str, str]  # a strategy's id and a symbol
Question = tuple[str, str, str]  # and what it is asked
Answers = dict[int, str]  # by close, UTC ms; as text


@dataclass(slots=True)
class Watched:
    """What strategies were asked, by (strategy id, symbol, `decide` or `manage`): every close, and answers but None."""

    asked: dict[Question, "array[int]"] = field(default_factory=dict)
    answers: dict[Question, Answers] = field(default_factory=dict)

    def first_ms(self) -> dict[Pair, int]:
        """The first close about which each was asked."""
        return {
            (strategy, symbol): min(times)
            for (strategy, symbol, method), times in self.asked.items()
            if method == DECIDE
        }

    def entries(self) -> dict[Pair, list[int]]:
        """The closes at which an entry was wanted, oldest first."""
        return {
            (strategy, symbol): sorted(answers)
            for (strategy, symbol, method), answers in self.answers.items()
            if method == DECIDE
        }

    def hear(self, strategy: str, method: str, view: View, answer: object) -> None:
        """A strategy was asked as of the view's close."""
        close_ms, question = view.close_ms, (strategy, view.symbol, method)
        times = self.asked.get(question)
        if times is None:
            times = self.asked[question] = array("q")
        times.append(close_ms)
        if answer is not None:
            self.answers.setdefault(question, {})[close_ms] = str(answer)


def watching(plan: BacktestPlan, watched: Watched, until_ms: int | None = None) -> BacktestPlan:
    """The plan with its strategies watched, and asked about closes up to `until_ms` only (None: about all)."""
    return replace(plan, strategies=tuple(_watched_run(run, watched, until_ms) for run in plan.strategies))


def _watched_run(run: StrategyRun, watched: Watched, until_ms: int | None) -> StrategyRun:
    base, identity = run.strategy_class, run.id

    def decide(self: Strategy[Any], view: View) -> Entry | None:
        if until_ms is not None and view.close_ms > until_ms:
            return None
        answer = base.decide(self, view)
        watched.hear(identity, DECIDE, view, answer)
        return answer

    def manage(self: Strategy[Any], view: View, signal: OpenSignal) -> Adjustment | None:
        if until_ms is not None and view.close_ms > until_ms:
            return None
        answer = base.manage(self, view, signal)
        watched.hear(identity, MANAGE, view, answer)
        return answer

    methods: dict[str, object] = {DECIDE: decide, "__module__": base.__module__}
    if base.manage is not Strategy.manage:  # who has none of its own is not to be asked
        methods[MANAGE] = manage
    return replace(run, strategy_class=type(base.__name__, (base,), methods))


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The features of one strategy on one symbol: `close_ms` of each row, and each feature by name."""

    close_ms: Times
    values: Mapping[str, Floats]


def columns_of(plan: BacktestPlan) -> dict[Pair, Columns]:
    """All feature values that the plan's strategies may be shown, computed anew.  Raises BadInput: candles are unfit."""
    start, end = plan.start_ms // MINUTE_MS, plan.end_ms // MINUTE_MS
    frames = Frames(tapes_of(plan), start, end, FeatureCache(None, 0))
    found = {}
    for run in plan.strategies:
        strategy = run.make()
        wanted = max(plan.history, strategy.warmup)
        for symbol in run.symbols:
            frame = frames.frame(symbol, strategy.timeframe, wanted, strategy.features)
            close_ms = frame.series.ts_ms + strategy.timeframe.ms
            found[run.id, symbol] = Columns(close_ms, frame.features)
    return found
