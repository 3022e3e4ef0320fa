"""Every bound of the runtime, by the name it has in the config.

Rules of this file: values only, checked where the config is read; a unit stands last in the name (`_s` seconds, `_ms`
milliseconds); ratios are fractions (0.1 is 10 %).
"""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum

from livebot.core.ranking import Scorer


class RunMode(Enum):
    """PARALLEL runs all symbols at once; SEQUENTIAL one after another, each until it has had its signals."""

    PARALLEL = "parallel"
    SEQUENTIAL = "sequential"


class LossAction(Enum):
    """What a breached loss limit does besides halting."""

    STOP_OPENING = "stop_opening"
    FLATTEN = "flatten"


class OnDeadline(Enum):
    """What becomes of an entry whose confidence does not come in time: VETO refuses it, PASS lets it go on without one."""

    VETO = "veto"
    PASS = "pass"  # noqa: S105 - what may go on, not what lets in


class StateAction(Enum):
    """What becomes of trading: REDUCING until it has passed, or HALTED until an operator lifts it."""

    REDUCE = "reduce"
    HALT = "halt"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartSettings:
    """How often one symbol may fail: more than `maximum` restarts within `window_s` quarantine it.

    The wait before a restart doubles from `backoff_s` to `backoff_maximum_s`, with jitter.
    """

    maximum: int = 5
    window_s: float = 600.0
    backoff_s: float = 1.0
    backoff_maximum_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSettings:
    """The ledger's writer: `queue_size` rows may wait in memory, beyond that no new entries; `batch_size` rows a write.

    A failing ledger is a problem on the operator's screen after `retries` attempts; attempts never end.  A start, which
    has to read it before anything else, gives up after `start_s`.
    """

    queue_size: int = 20_000
    batch_size: int = 500
    retries: int = 3
    backoff_s: float = 0.2
    backoff_maximum_s: float = 15.0
    start_s: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSettings:
    """Those who hear the bus: `queue_size` publications may wait, then the oldest is dropped.

    `failures` in a row make a listener a problem on the operator's screen; `deadline_s` bounds one call of an
    asynchronous one.
    """

    queue_size: int = 10_000
    failures: int = 3
    deadline_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeSettings:
    """How symbols run.

    `signals_per_symbol` is when SEQUENTIAL goes on to the next symbol (None: never by itself); `max_concurrent_symbols`
    None means all; `queue_size` bounds a symbol's own queue; a strategy call above `slow_call_ms` is counted;
    `context_deadline_s` is how long the first symbols of a close wait for the last; `shutdown_s` bounds the whole stop;
    `history` is how many candles a symbol loads at least; a start waits `start_disk_s` for a disk that takes nothing.
    """

    mode: RunMode = RunMode.PARALLEL
    signals_per_symbol: int | None = None
    max_concurrent_symbols: int | None = None
    queue_size: int = 1_000
    slow_call_ms: float = 50.0
    context_deadline_s: float = 2.0
    shutdown_s: float = 20.0
    history: int = 500
    start_disk_s: float = 60.0
    restarts: RestartSettings = field(default_factory=RestartSettings)
    ledger: LedgerSettings = field(default_factory=LedgerSettings)
    listeners: ListenerSettings = field(default_factory=ListenerSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionSettings:
    """How orders are sent and followed.

    An order not answered within `order_timeout_s` is unknown and asked for, again after `unknown_poll_s` and then
    after twice the wait each time; a position without a live stop for `unprotected_s` is closed; a call that failed
    before anything can have happened is repeated `retries` times, waiting from `retry_backoff_s` to
    `retry_backoff_maximum_s`; all is compared with the venue every `reconcile_s`, and its list of positions or coins may be
    `positions_lag_s` behind its trades; a change of the wallet that our trades do not explain is told from
    `wallet_tolerance` (a ratio of the wallet) on.
    """

    order_timeout_s: float = 10.0
    unprotected_s: float = 5.0
    unknown_poll_s: float = 1.0
    retries: int = 3
    retry_backoff_s: float = 0.5
    retry_backoff_maximum_s: float = 10.0
    reconcile_s: float = 60.0
    positions_lag_s: float = 10.0
    wallet_tolerance: Decimal = Decimal("0.001")


@dataclass(frozen=True, slots=True, kw_only=True)
class LossLimit:
    """All trading stops, latched, once the portfolio has lost `ratio` of the equity it started with."""

    ratio: Decimal
    action: LossAction = LossAction.STOP_OPENING


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorBudget:
    """`maximum` errors within `window_s` are allowed; what REDUCE did passes `cooldown_s` after the last that was too many."""

    maximum: int
    window_s: float
    cooldown_s: float
    action: StateAction


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingStateSettings:
    """What besides losses moves the trading state; None: not counted."""

    order_errors: ErrorBudget | None = None
    worker_failures: ErrorBudget | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundSettings:
    """What is wanted at one close is ranked: by `scorer`, or where that is None by confidence.

    The rest is waited for until `deadline_s` after the first wish.
    """

    deadline_s: float = 0.5
    scorer: Scorer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceSettings:
    """How models are asked.

    The first question of a close waits `coalesce_s` for the others.  `deadline_s` is all that an entry waits, from the
    strategy's decision at the close to the answer: for the others, for a batch that is out, and for the model (None: however
    long it takes, in a market whose time waits for us); `on_deadline` says what happens then.  A model that has not come
    back after `hang_s` is given up.  `shadow_batches` may wait for versions in shadow, what is asked beyond that is not
    asked of them.
    """

    coalesce_s: float = 0.02
    deadline_s: float | None = 0.25
    on_deadline: OnDeadline = OnDeadline.VETO
    hang_s: float = 10.0
    shadow_batches: int = 4
