"""What all symbol workers share, and who is told what they see besides facts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from livebot.core.facts import Fact
from livebot.core.inputs import SymbolState
from livebot.ports import CandleFeed, Clock, Decision, SignalStore
from livebot.runtime.models.confidence import ConfidenceDesk
from livebot.runtime.portfolio.portfolio import Portfolio
from livebot.runtime.portfolio.rounds import Rounds
from livebot.runtime.settings import ExecutionSettings, RuntimeSettings
from livebot.runtime.symbol.instances import Instances
from livebot.runtime.symbol.strategy_instance import StrategyInstance
from livebot.runtime.turns import Turns
from livebot.runtime.venue.execution import Execution
from livebot.runtime.venue.reconcile import Changes


class Observer(Protocol):
    """Logs, counters and problems."""

    def asked(self, took_s: float, delay_s: float) -> None:
        """A strategy was asked about a candle that had closed so long ago, and took so long to answer."""

    def slow_call(self, strategy: str, symbol: str, call: str, took_ms: float) -> None:
        """A strategy's call took longer than the configured bound."""

    def order_unknown(self, symbol: str, order_id: str, text: str) -> None:
        """An order's fate is not known; it is being asked for."""

    def withdrawn(self, symbol: str, strategy: str, order_id: str) -> None:
        """An entry was approved, and is not sent: nothing may open any more, or what it opened might be closed at once."""

    def foreign_position(self, symbol: str, quantity: Decimal) -> None:
        """The venue holds so much of this symbol that is not ours (positive long); 0: no longer."""

    def dismissed_quantity(self, symbol: str) -> Decimal:
        """How much of what is not ours may stay there as it is."""

    def foreign_beside(self, symbol: str) -> bool:
        """Whether the venue's position is not all ours, as far as is known."""

    def compared(self, symbol: str, changes: Changes) -> None:
        """The symbol's states were compared with the venue."""

    def unprotected(self, symbol: str, strategy: str, signal_id: str | None) -> None:
        """This signal's position is without a confirmed stop; None: the strategy has no such signal any more."""

    def overdue(self, symbol: str, strategy: str, seconds: float) -> None:
        """An unprotected position has been so for as long as is allowed."""

    def event_of_unknown_order(self, symbol: str, order_id: str) -> None:
        """The venue told of an order that no state knows."""

    def gap(self, symbol: str, strategy: str, missing: int) -> None:
        """Candles were missing and were filled from history."""

    def refused_candle(self, symbol: str, text: str) -> None:
        """A candle cannot be true, or contradicts one that was taken before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all workers share.

    `saved` is told each state once it is durable, and `last_saved` gives it back; `published` is the last sequence of a
    (strategy, symbol) that everyone has been told; `warmed` is told the symbol when its strategies can decide;
    `loading` are the turns at loading a history; `rounds` None: who comes first is admitted first; `confidences` None: no
    model is asked anything.
    """

    clock: Clock
    feed: CandleFeed
    execution: Execution
    store: SignalStore
    portfolio: Portfolio
    publish: Callable[[Sequence[Fact | Decision]], None]
    published: Callable[[str, str], int]
    saved: Callable[[SymbolState], None]
    last_saved: Callable[[str, str], SymbolState]
    instances: Instances[StrategyInstance]
    observer: Observer
    settings: RuntimeSettings
    execution_settings: ExecutionSettings
    warmed: Callable[[str], None]
    loading: Turns
    rounds: Rounds | None
    confidences: ConfidenceDesk | None
