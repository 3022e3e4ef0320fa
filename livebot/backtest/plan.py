"""What a backtest is to do, as one value: strategies, candles, money, and how orders fill.

Rules of this file: a plan holds everything that its run depends on and nothing that the run changes; to try something
else, `dataclasses.replace` a part of it; what cannot be run is refused when the plan is made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from livebot.backtest.membership import Spans, check_members
from livebot.backtest.tape import Tape
from livebot.core.clusters import CorrelationRule
from livebot.core.limits import Limits
from livebot.core.market import MINUTE_MS, Instrument, Timeframe
from livebot.core.performance import WinRate
from livebot.core.rules import Rules, sharing_a_position
from livebot.core.series import CandleSeries, Floats, Times
from livebot.errors import BadInput
from livebot.features.context import members_of
from livebot.model_ports import Confidences
from livebot.runtime.settings import LossLimit, RoundSettings
from livebot.simulator.matching import FillModel
from livebot.strategies.interface import Strategy, looks_at

LONGEST_LATENCY_MS = MINUTE_MS - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyRun:
    """One strategy: its id (as in the config), its class, its parameters (`strategy_class.Params`), its symbols."""

    id: str
    strategy_class: type[Strategy[Any]]
    params: object
    symbols: tuple[str, ...]

    def make(self) -> Strategy[Any]:
        """A new instance."""
        return self.strategy_class(self.params)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FundingRates:
    """A perpetual's funding: at `ts_ms` (UTC, oldest first) a long pays notional times `rate`, a short receives it."""

    ts_ms: Times
    rate: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BacktestPlan:
    """`candles` by symbol, of the timeframe `base`, oldest first, each once, gaps allowed; those before `start_ms` warm up.

    `symbols` in the order in which a close is gone through.  Trading begins with the candle that opens at `start_ms` and
    ends with the close at `end_ms`; candles after it are not looked at, save for the open at which its orders fill.
    `wallet` is in quote currency.  `rules` hold for all; system, strategy and instrument are put in for each.  Fees are
    those of the instruments; `fills` says how orders fill, `slippage` included.
    A market order arrives `latency_ms` late: the price has then moved against it by that share of the candle's range.
    `history` is how many candles a strategy loads at least, as in the live daemon.  `cache` None: features are computed
    each time.  `skip` False looks at every candle; the facts are the same.
    `members`: from when until when (UTC ms, whole minutes) each symbol was in the universe, and so might open something; a
    symbol that is not named never was; none named at all: every one always.
    `clusters`: how it is worked out which symbols move together, or the cluster of each symbol that is in one; None: none are.
    `round` None: who comes first at a close, in the order of `symbols`, is admitted first; else they are ranked.
    `confidences`: models that judge entries before they are ranked or admitted; None: nobody is asked.
    `tapes` are what somebody has made of candles already: used for as long as the candles are that very object.
    """

    system: str
    strategies: tuple[StrategyRun, ...]
    symbols: tuple[str, ...]
    instruments: Mapping[str, Instrument]
    candles: Mapping[str, CandleSeries]
    start_ms: int
    end_ms: int
    wallet: Decimal
    rules: Rules
    limits: Limits = field(default_factory=Limits)
    loss_limit: LossLimit | None = None
    win_rate: WinRate | None = None
    round: RoundSettings | None = None
    confidences: Confidences | None = None
    fills: FillModel = field(default_factory=FillModel)
    funding: Mapping[str, FundingRates] = field(default_factory=dict)
    latency_ms: int = 0
    base: Timeframe = Timeframe.M1
    history: int = 600
    cache: Path | None = None
    cache_bytes: int = 0
    skip: bool = True
    tapes: Mapping[str, tuple[CandleSeries, Tape]] = field(default_factory=dict)
    members: Mapping[str, Spans] = field(default_factory=dict)
    clusters: CorrelationRule | Mapping[str, str] | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            BadInput: the range is empty, a symbol has no candles or instrument, two strategies have one id, or one of
                them looks at a whole universe that changes.

        """
        if self.start_ms >= self.end_ms or self.start_ms % MINUTE_MS or self.end_ms % MINUTE_MS:
            raise BadInput(
                f"the range from {self.start_ms} to {self.end_ms} holds no whole minute; choose another --from or --to"
            )
        if not 0 <= self.latency_ms <= LONGEST_LATENCY_MS:
            raise BadInput(f"a latency of {self.latency_ms} ms cannot be tried: 0 to {LONGEST_LATENCY_MS} can")
        ids = [run.id for run in self.strategies]
        twice = sorted({each for each in ids if ids.count(each) > 1})
        if twice:
            raise BadInput(f"more than one strategy has the id {', '.join(twice)}; give each its own")
        self._check_universe()
        wanted = dict.fromkeys(symbol for run in self.strategies for symbol in (*run.symbols, *looks_at(run.make())))
        for symbol in wanted:
            if symbol not in self.symbols or symbol not in self.candles or symbol not in self.instruments:
                raise BadInput(f"{symbol}: the plan has no candles or no instrument of it; add both, or leave it out")

    def _check_universe(self) -> None:
        check_members(self.members)
        for run in self.strategies if self.members else ():
            features = run.make().features
            if members_of(features, self.symbols) != members_of(features, ()):
                raise BadInput(
                    f"strategy {run.id} has features made of all symbols of the universe, and a backtest knows them only "
                    "where the universe stays the same; say which symbols with --symbols, or leave the strategy out"
                )

    def rules_of(self, strategy_id: str, symbol: str) -> Rules:
        """The fixed terms of one (strategy id, symbol)."""
        rules = replace(
            self.rules,
            system=self.system,
            strategy=strategy_id,
            instrument=self.instruments[symbol],
            attached_stop=False,  # the stop of our own is there in the same instant
        )
        shared = sum(symbol in run.symbols for run in self.strategies) > 1
        return sharing_a_position(rules) if shared else rules

    def with_params(self, strategy_id: str, params: object) -> "BacktestPlan":
        """The same with other parameters of one strategy.  Raises KeyError: there is none of this id."""
        if strategy_id not in {run.id for run in self.strategies}:
            raise KeyError(strategy_id)
        changed = tuple(replace(run, params=params) if run.id == strategy_id else run for run in self.strategies)
        return replace(self, strategies=changed)

    def with_candles(self, candles: Mapping[str, CandleSeries]) -> "BacktestPlan":
        """The same on other candles (truncated or altered ones, say); nothing is taken from the cache."""
        return replace(self, candles=candles, cache=None)
