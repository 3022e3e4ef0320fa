"""Protocols for every outside thing the runtime touches.

Rules of this file: no implementation; every call says what it may raise.  Real forms live in `adapters/` and
`simulator/`, fakes in tests.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from livebot.core.clusters import ClusterStatus
from livebot.core.denial import TradingState
from livebot.core.facts import Fact, SignalClosed
from livebot.core.inputs import OrderEvent, OrderOutcome, SymbolState
from livebot.core.market import Candle, Instrument, Timeframe
from livebot.core.order import Account, Fill, VenueOrder, VenuePosition
from livebot.core.risk import Approved
from livebot.core.series import CandleSeries
from livebot.core.universe_memory import UniverseStatus


class Clock(Protocol):
    """The market's time (of the venue in a simulation, of the world when live)."""

    def now_ms(self) -> int:
        """UTC milliseconds."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueNotice:
    """What a connection to a venue says about itself; it replaces what the same `source` said before.

    `text` is a sentence for the operator, None when the thing has passed.  `blocks_entries`: nothing new opens (at
    `symbol`, or anywhere) until then.  `reduces`: trading as a whole is REDUCING until then, for what does not pass within
    moments.  `reconcile`: events may have been missed, compare with the venue now.  `reload`: candles of `symbol` that went
    out were not the final ones, load its history anew.
    """

    source: str
    text: str | None
    symbol: str | None = None
    blocks_entries: bool = False
    reduces: bool = False
    reconcile: bool = False
    reload: bool = False


class Exchange(Protocol):
    """One venue account.  Calls raise Transient when nothing can have happened and a retry is right."""

    @property
    def name(self) -> str:
        """Exchange name as configured."""
        ...

    @property
    def absence_window_ms(self) -> int:
        """How long (by the wall clock) after sending it the venue may accept an order; then "not found" proves absence."""
        ...

    @property
    def refuses_repeated_ids(self) -> bool:
        """Whether a stop that the venue has is refused if it is sent again under its client order id."""
        ...

    @property
    def positions_may_lag(self) -> bool:
        """Whether its list of positions may be behind its trades."""
        ...

    async def instruments(self, symbols: Sequence[str]) -> Mapping[str, Instrument]:
        """Instruments by symbol.  Raises BadInput naming the symbols that the venue lacks."""
        ...

    async def submit(self, approved: Approved) -> OrderOutcome:
        """Send an order.  Never raises for an order's own fate: that is the outcome."""
        ...

    async def amend(self, approved: Approved) -> OrderOutcome:
        """Make the working order with this client id look like the approved one (quantity is the total, filled included)."""
        ...

    async def cancel(self, symbol: str, client_order_id: str) -> None:
        """Take an order back; its end arrives as OrderEnded.  Raises Rejected if the venue does not know it (then: ask)."""
        ...

    async def fetch_order(self, symbol: str, client_order_id: str) -> VenueOrder | None:
        """The order with its present status, wherever the venue keeps it (open, closed, trades), or None if not found."""
        ...

    async def fetch_fills(self, symbol: str, client_order_id: str) -> tuple[Fill, ...]:
        """All trades of one order, oldest first."""
        ...

    async def fetch_open_orders(self, symbols: Collection[str] | None = None) -> tuple[VenueOrder, ...]:
        """Every open order of the account, ours or not; if `symbols` are named, those of others need not be among them."""
        ...

    async def fetch_positions(self) -> tuple[VenuePosition, ...]:
        """Every position that is not flat, ours or not."""
        ...

    async def fetch_account(self) -> Account:
        """What the account is worth."""
        ...

    def listen(self, symbol: str, deliver: Callable[[OrderEvent], None]) -> None:
        """Deliver order events of a symbol from now on, in order, on the event loop; replaces an earlier listener."""

    def ignore(self, symbol: str) -> None:
        """Nobody trades a symbol any more: nothing is told of it, and what cannot be read of it holds up nobody."""

    def listen_notices(self, deliver: Callable[[VenueNotice], None]) -> None:
        """Deliver what the connection says about itself, on the event loop; replaces an earlier listener."""

    async def close(self) -> None:
        """Let go of everything."""
        ...


class CandleFeed(Protocol):
    """Closed base candles (1m), pushed; history of any timeframe, pulled."""

    async def history(self, symbol: str, timeframe: Timeframe, count: int) -> CandleSeries:
        """The last `count` closed candles as of now (fewer only if the market is younger).  Raises Transient."""
        ...

    def listen(self, symbol: str, deliver: Callable[[Candle], None]) -> None:
        """Deliver each closed base candle of a symbol from now on, on the event loop; replaces an earlier listener.

        While `run` runs, a symbol that nobody listened to is subscribed.
        """
        ...

    def ignore(self, symbol: str) -> None:
        """Nobody wants candles of a symbol any more: it is asked for no longer, and nothing is said of it."""
        ...

    def listen_notices(self, deliver: Callable[[VenueNotice], None]) -> None:
        """Deliver what the connection says about itself, on the event loop; replaces an earlier listener."""
        ...

    async def run(self) -> None:
        """Push candles until cancelled, or return when the data ends.  Started once."""
        ...


@dataclass(frozen=True, slots=True)
class DamagedFile:
    """A state file that failed its checks and was set aside; `strategy` and `symbol` as far as the name tells."""

    path: str
    moved_to: str
    strategy: str | None
    symbol: str | None
    cause: str


@dataclass(frozen=True, slots=True)
class LoadedStates:
    """What recovery found on disk."""

    states: tuple[SymbolState, ...]
    damaged: tuple[DamagedFile, ...]


class SignalStore(Protocol):
    """One file per (strategy, symbol)."""

    async def load(self) -> LoadedStates:
        """Read every file.  Raises Fatal if the folder belongs to another system or cannot be read."""
        ...

    async def load_one(self, strategy: str, symbol: str) -> SymbolState | None:
        """Read one file, None if there is none.  Raises Rejected if it is damaged (it is set aside)."""
        ...

    async def save(self, state: SymbolState) -> None:
        """Durable when it returns.  Raises Fatal (disk full, read-only, I/O error) and then the old file still stands."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What became of an entry a strategy wanted, or why it could not decide; one per (strategy, symbol, close).

    `feature_set` is what it was decided with (`name@version` and the hash); None in records from before there were any.
    `model` (`scope/version`) was asked how likely it is to win; None: none was, or it had no answer.
    """

    strategy: str
    symbol: str
    close_ms: int
    ts_ms: int
    outcome: str  # approved | denied | refused | skipped
    code: str
    text: str
    side: str | None
    confidence: float | None
    feature_set: str | None = None
    model: str | None = None


class Ledger(Protocol):
    """Facts and decisions, each exactly once, for ever."""

    async def record(self, facts: Sequence[Fact], decisions: Sequence[Decision]) -> None:
        """Durable when it returns; rows it already has are ignored.  Raises Transient (try again later)."""
        ...

    async def close(self) -> None:
        """Flush and let go."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Dismissed:
    """What is not ours on a symbol and may stay there, exactly as it was when the operator said so.

    `quantity` is the net position beyond ours (base currency, positive long, 0: none).
    """

    symbol: str
    quantity: Decimal
    orders: tuple[VenueOrder, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioMemory:
    """What the portfolio must remember over a restart; everything else is rebuilt from signals/ and the ledger."""

    trading_state: TradingState = TradingState.ACTIVE
    state_reason: str = ""
    day_start_ms: int = 0
    day_start_equity: Decimal | None = None
    peak_equity: Decimal | None = None
    paused: tuple[str, ...] = ()
    quarantined: tuple[tuple[str, str], ...] = ()  # (symbol, why)
    switched_off: tuple[tuple[str, int], ...] = ()  # (symbol, since_ms)
    switched_on: tuple[tuple[str, int], ...] = ()  # (symbol, since_ms): older closes no longer count
    dismissed: tuple[Dismissed, ...] = ()
    repeated: tuple[tuple[str, str], ...] = ()  # (symbol, why): paused, as it entered too often
    resumed: tuple[tuple[str, int], ...] = ()  # (symbol, since_ms): resumed after that; older entries no longer count


class PortfolioStore(Protocol):
    """state/portfolio.json."""

    async def load(self) -> PortfolioMemory | None:
        """None if there is none yet.  Raises Fatal if it is damaged: a halt must not be lost by accident."""
        ...

    async def save(self, memory: PortfolioMemory) -> None:
        """Durable when it returns.  Raises Fatal."""
        ...


class Listener(Protocol):
    """Someone who hears what the bus publishes."""

    @property
    def name(self) -> str:
        """For messages about it."""
        ...

    def hear(self, items: Iterable[Fact | Decision]) -> None:
        """Must return soon; may raise, which hurts nobody else."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalStatus:
    """One (strategy, symbol) as an operator sees it; prices and quantities are exact decimals."""

    strategy: str
    state: str  # Idle | Scheduled | Opening | Open | Closing
    signal_id: str | None
    side: str | None
    quantity: Decimal | None
    entry_price: Decimal | None
    stop_loss: Decimal | None
    take_profit: Decimal | None
    unrealised: Decimal | None
    protected: bool | None  # a live stop rests on the venue; None when there is no position
    opened_ms: int | None
    confidence: float | None = None  # with which it was admitted
    model: str | None = None  # that gave it, `scope/version`


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolStatus:
    """One symbol as an operator sees it.  `worker` is running | waiting | backing_off | quarantined | guarded | stopped | done."""

    symbol: str
    worker: str
    restarts: int
    blocks: tuple[str, ...]  # denial codes that stop new entries here, e.g. paused
    last_error: str | None
    last_close_ms: int | None
    last_price: float | None
    signals: tuple[SignalStatus, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """The model of one scope as an operator sees it; `version` None: there is none in use.  Times are UTC ms.

    `covered` is how many symbols it was trained on; `uncovered` want to trade and wait for training; `shadow` is the
    version whose confidences are only recorded.
    """

    scope: str
    strategy: str
    version: str | None
    shadow: str | None
    created_ms: int | None
    train_end_ms: int | None  # up to then it knows the market
    stale: bool
    covered: int
    uncovered: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitUse:
    """One limit: its name in the config, what is used now and what is allowed (None: no limit), in the limit's own unit.

    Of limits on a single order `used` is what the last approved one had.  `floor`: at least `allowed` is asked for.
    """

    name: str
    used: Decimal
    allowed: Decimal | None
    floor: bool = False

    @property
    def share(self) -> float:
        """How near it is: at 1 nothing more is let through; 0 without a limit, 1 for a limit of nothing."""
        if self.allowed is None:
            return 0.0
        least, most = (self.allowed, self.used) if self.floor else (self.used, self.allowed)
        if self.floor and not self.used:
            return 0.0
        return float(least / most) if most else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemStatus:
    """One screen: am I safe, what is open, what is wrong."""

    system: str
    market: str
    mode: str
    exchange: str
    pid: int
    started_ms: int
    now_ms: int
    ready: bool
    trading_state: str
    state_reason: str
    equity: Decimal
    day_pnl: Decimal
    open_signals: int
    unprotected: tuple[str, ...]  # signal ids
    problems: tuple[str, ...]  # plain sentences
    limits: tuple[LimitUse, ...]
    instances: Mapping[str, int]  # created, evicted, live
    counts: Mapping[str, int]  # opened, closed, denied, refused, restarts, slow_calls, ...
    slow_calls: Mapping[str, float]  # strategy name -> longest call in ms
    symbols: tuple[SymbolStatus, ...]
    universe: UniverseStatus | None = None  # None: the symbols are listed in the config
    clusters: ClusterStatus | None = None  # None: every symbol is by itself
    config_loaded_ms: int | None = (
        None  # when what holds now was loaded: at the start, or by the last reload that changed it
    )
    models: tuple[ModelStatus, ...] | None = None  # None: no model is asked anything


class Screen(Protocol):
    """Where `run` shows itself on a terminal."""

    def log_line(self, text: str) -> None:
        """One or more lines of log, coloured by ANSI codes; they scroll above the table.  May block."""
        ...

    def show(self, status: SystemStatus) -> None:
        """The newest status; drawn a moment later by another thread, so this never blocks."""
        ...

    def close(self) -> None:
        """Give the terminal back.  Lines that come later are printed plainly."""
        ...


class LedgerHistory(Protocol):
    """What recovery wants to know of the past."""

    async def closes(self) -> Sequence[SignalClosed]:
        """Every closed signal, in the order of closing.  Raises Transient."""
        ...

    async def entries(self, since_ms: int) -> Sequence[Fact]:
        """What tells of orders that add exposure, from then on, in the order of time.  Raises Transient.

        SignalScheduled and SignalOpening for entries; for averaging PositionIncreased and OrderFailed.
        """
        ...

    async def last_numbers(self) -> Mapping[tuple[str, str], tuple[int, int]]:
        """By (strategy, symbol): the last fact's sequence and the last signal's number.  Raises Transient."""
        ...
