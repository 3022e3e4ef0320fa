"""What a system is made of: everything that comes from outside, put in by the composition root."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from livebot.core.market import Instrument
from livebot.core.ranking import Round
from livebot.core.rules import Rules
from livebot.ports import (
    CandleFeed,
    Clock,
    Exchange,
    Ledger,
    LedgerHistory,
    Listener,
    PortfolioStore,
    SignalStore,
)
from livebot.runtime.clusters.cluster_closes import ClusterParts
from livebot.runtime.inbox import Activity
from livebot.runtime.models.confidence import ConfidenceParts
from livebot.runtime.portfolio.portfolio import Portfolio
from livebot.runtime.problems import Problems
from livebot.runtime.settings import ExecutionSettings, RoundSettings, RuntimeSettings, TradingStateSettings
from livebot.runtime.universe.universe_choice import UniverseParts
from livebot.strategies.interface import Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemParts:
    """`strategies` are the ids that run on each symbol, in order; `watched` are the other symbols they look at.

    `make_strategy` makes a new object of a strategy, None if the config does not name it (a signal of it may be open
    all the same); `rules` are the terms of a strategy on an instrument; `universe` None: the symbols never change;
    `clusters`: how it is worked out which symbols move together, or the cluster of each symbol that is in one; None: none are;
    `context_symbols` belong to the universe of features made of other symbols whether or not a strategy runs on them;
    `round` None: who comes first is admitted first; `tell_round` hears of each round; `confidences` None: there are no models.
    """

    name: str
    market: str
    mode: str
    strategies: Mapping[str, tuple[str, ...]]
    watched: Mapping[str, frozenset[str]]
    make_strategy: Callable[[str], Strategy[Any] | None]
    rules: Callable[[str, Instrument], Rules]
    clock: Clock
    exchange: Exchange
    feed: CandleFeed
    store: SignalStore
    portfolio_store: PortfolioStore
    ledger: Ledger
    history: LedgerHistory
    portfolio: Portfolio
    problems: Problems
    listeners: tuple[Listener, ...]
    settings: RuntimeSettings
    execution_settings: ExecutionSettings
    activity: Activity
    random: Random
    universe: UniverseParts | None = None
    context_symbols: tuple[str, ...] = ()
    clusters: ClusterParts | Mapping[str, str] | None = None
    round: RoundSettings | None = None
    tell_round: Callable[[Round], None] = lambda _: None
    trading_states: TradingStateSettings = field(default_factory=TradingStateSettings)
    confidences: ConfidenceParts | None = None
