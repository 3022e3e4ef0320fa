"""The portfolio: the gate before an order, and the first to hear every fact.

Rules of this file: `admit` checks and reserves without an await, so two candidates can never share the same room;
exposure, PnL and trading state come from facts and marks, never from guesses; whatever goes wrong in here stops new
entries and nothing else; HALTED is lifted by an operator alone, over any restart.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType

import structlog

from livebot.core.candidate import Candidate
from livebot.core.facts import (
    Exposure,
    Fact,
    PositionReduced,
    RemainderGone,
    RemainderKept,
    RemainderTaken,
    SignalClosed,
    SignalOpened,
    StopMoved,
    TargetMoved,
)
from livebot.core.market import MINUTE_MS, Side
from livebot.core.order import ZERO
from livebot.core.performance import WinRate
from livebot.core.risk import Approved, DenialCode, Denied, Limits, TradingState, Usage, exceeded, judge
from livebot.ports import Decision, LimitUse, PortfolioMemory
from livebot.runtime.blocks import Blocks
from livebot.runtime.exposure_book import NOTHING_CARRIED, Carried, ExposureBook, Key, Reservation
from livebot.runtime.loss_watch import LossWatch, StateChange, Worth
from livebot.runtime.problems import Report
from livebot.runtime.settings import LossLimit

_log = structlog.get_logger(__name__)

_ORDERS_REMEMBERED = 10_000  # when no limit on orders says how many matter


class Portfolio:
    """One object, two faces: `admit` for the workers, `hear` for the bus.

    `blocks` stops entries symbol by symbol.  Money is in quote currency.
    """

    def __init__(
        self, limits: Limits, *, loss_limit: LossLimit | None, win_rate: WinRate | None, report: Report
    ) -> None:
        """Empty and ACTIVE.  It admits nothing before `set_wallet`; `report` hears what goes wrong in here."""
        self.blocks = Blocks(win_rate)
        self._limits = limits
        self._loss_limit = loss_limit
        self._report = report
        self._book = ExposureBook()
        self._watch = LossWatch(limits, loss_limit)
        self._sequences: dict[Key, int] = {}
        self._orders: deque[int] = deque(maxlen=limits.orders_per_minute or _ORDERS_REMEMBERED)
        self._base: Decimal | None = None  # what the wallet would hold without any signal of this process
        self._closed = ZERO  # net PnL of the signals that closed, and of what they left that is gone, in this process
        self._files: dict[Key, int] = {}  # facts up to these are in what the files carried at the start
        self._saved: PortfolioMemory | None = None
        self._now_ms = 0
        self._counts = dict.fromkeys(("admitted", "denied", "opened", "closed"), 0)

    @property
    def name(self) -> str:
        """As a listener of the bus."""
        return "portfolio"

    # The gate

    def admit(self, candidate: Candidate, now_ms: int) -> Approved | Denied:
        """Check and reserve in one go; an approved order that is not sent after all must be released."""
        try:
            verdict = self._judge(candidate, now_ms)
        except Exception as error:  # noqa: BLE001 - what cannot be judged must not get through
            verdict = Denied(DenialCode.CHECK_FAILED, f"the portfolio failed: {type(error).__name__}: {error}")
        self._counts["admitted" if isinstance(verdict, Approved) else "denied"] += 1
        return verdict

    def exceeded(self, candidate: Candidate, now_ms: int) -> tuple[str, ...]:
        """The limits that something exceeds which is there already, and counts from now on whether they allow it or not."""
        usage = self._usage((candidate.strategy, candidate.symbol), candidate.side, now_ms)
        return exceeded(usage, self._limits, candidate)

    def release(self, strategy: str, symbol: str) -> None:
        """Give back the room of an approved order that was not sent after all."""
        key = (strategy, symbol)
        if self._book.reservation(key) is not None:
            self._book.put(key, self._book.exposure(key), None)

    def close_gate(self) -> None:
        """The daemon is stopping: nothing opens any more."""
        self.blocks.close_gate()

    def _judge(self, candidate: Candidate, now_ms: int) -> Approved | Denied:
        fault = self.blocks.first_fault
        if fault is not None:
            return Denied(DenialCode.CHECK_FAILED, fault)
        if self._base is None:
            return Denied(DenialCode.CHECK_FAILED, "what the account is worth is not known yet")
        if candidate.notional <= 0:
            return Denied(DenialCode.CHECK_FAILED, f"a notional of {candidate.notional} is not above 0")
        key = (candidate.strategy, candidate.symbol)
        verdict = judge(self._usage(key, candidate.side, now_ms), self._limits, candidate)
        if isinstance(verdict, Approved):
            signal = candidate.signal
            signal_id = None if signal is None else f"{candidate.strategy}/{candidate.symbol}#{signal.number}"
            reservation = Reservation(candidate.side, candidate.notional, signal_id)
            self._book.put(key, self._book.exposure(key), reservation)
            self._orders.append(now_ms)
        return verdict

    def _usage(self, key: Key, side: Side, now_ms: int) -> Usage:
        used = self._book.beside(key, side)
        equity, watch = self.equity, self._watch
        return Usage(
            trading_state=watch.state,
            blocks=self.blocks.of(key[1]),
            symbol_side=self._side_against(key[1], side) or used.side,
            open_signals=used.open_signals,
            open_signals_of_strategy=used.open_signals_of_strategy,
            gross_exposure=used.notional,
            symbol_exposure=used.notional_of_symbol,
            orders_last_minute=self._orders_last_minute(now_ms),
            equity=equity,
            day_start_equity=equity if watch.day_start_equity is None else watch.day_start_equity,
            peak_equity=equity if watch.peak_equity is None else watch.peak_equity,
        )

    def _side_against(self, symbol: str, side: Side) -> Side | None:
        """The side of what is not ours and may stay there, if it is the other one: the venue would net them."""
        if side.sign * self.blocks.dismissed_quantity(symbol) >= 0:
            return None
        return Side.SHORT if side is Side.LONG else Side.LONG

    def _orders_last_minute(self, now_ms: int) -> int:
        self._now_ms = max(self._now_ms, now_ms)
        while self._orders and self._orders[0] <= now_ms - MINUTE_MS:
            self._orders.popleft()
        return len(self._orders)

    # Facts and marks

    def hear(self, items: Iterable[Fact | Decision]) -> None:
        """Take facts in, in order; one it has heard already changes nothing.

        Raises:
            Exception: a fact could not be taken in.  The others were, and nothing opens until the daemon is restarted.

        """
        failed: Exception | None = None
        for item in items:
            if not isinstance(item, Fact):
                continue
            try:
                self._take_in(item)
            except Exception as error:  # noqa: BLE001 - what it cannot count it must not add to
                failed = error
        if failed is not None:
            self._fail(failed)
            raise failed

    def recovered(
        self, strategy: str, symbol: str, exposure: Exposure, sequence: int, carried: Carried = NOTHING_CARRIED
    ) -> None:
        """A worker has read its file again: this is what the file says, and no order waits for leave any more.

        Facts after `sequence` will be heard.  Publish the file's outbox first.
        """
        key = (strategy, symbol)
        self._sequences[key] = sequence
        self._book.put(key, exposure, None)
        self._book.carry(key, carried)

    def mark(self, symbol: str, price: float) -> None:
        """The symbol's last price; what is no price is ignored."""
        self._book.mark(symbol, price)

    def set_wallet(self, wallet: Decimal, *, paid: bool = False) -> None:
        """What the venue says the account holds, unrealised PnL not counted; equity follows from here.

        `paid`: what is open was paid for out of it.
        """
        invested = self._book.invested if paid else ZERO
        self._base = wallet + invested - self._closed - self._book.booked
        self._watch.begin(self.equity)

    def move_cash(self, amount: Decimal) -> None:
        """Money came in (or went out, below 0) apart from any trade of ours, such as funding."""
        if self._base is not None:
            self._base += amount

    def _take_in(self, fact: Fact) -> None:
        key = (fact.strategy, fact.symbol)
        if fact.sequence <= self._sequences.get(key, 0):
            return
        self._sequences[key] = fact.sequence
        reservation = self._book.reservation(key)
        if reservation is not None and _settles(fact, reservation):
            reservation = None
        self._book.put(key, fact.exposure, reservation)
        if isinstance(fact, SignalOpened):
            self._counts["opened"] += 1
        elif isinstance(fact, SignalClosed):
            self._counts["closed"] += 1
            self._closed += fact.pnl_net
            self._watch.closed(fact)
            if self.blocks.closed(fact):
                _log.warning("symbol_switched_off", symbol=fact.symbol)
        elif isinstance(fact, RemainderKept | RemainderTaken | RemainderGone):
            self._carry(key, fact)

    def _carry(self, key: Key, fact: RemainderKept | RemainderTaken | RemainderGone) -> None:
        if fact.sequence <= self._files.get(key, 0):
            return
        sign, before = 1 if isinstance(fact, RemainderKept) else -1, self._book.carried(key)
        left = Carried(before.quantity + sign * fact.quantity, before.cost + sign * fact.cost)
        self._book.carry(key, left if left.quantity else NOTHING_CARRIED)
        if isinstance(fact, RemainderGone):
            self._closed += fact.pnl_net

    def _fail(self, error: Exception) -> None:
        text = f"the portfolio could not take in a fact ({type(error).__name__}: {error}); nothing opens, restart it"
        _log.error("portfolio_failed", exc_info=error)
        self.blocks.fault(self.name, text)
        self._report(self.name, text)

    # What it is worth

    @property
    def equity(self) -> Decimal:
        """Wallet with unrealised PnL at the last marks; 0 as long as the wallet is not known."""
        if self._base is None:
            return ZERO
        return self._base + self._closed + self._book.booked + self._book.unrealised

    @property
    def cash_moved(self) -> Decimal:
        """What the signals of this process brought in less what is invested in open ones and in what is carried.

        It moves exactly as the venue's wallet less the cost of its positions, however the venue nets strategies.
        """
        return self._closed + self._book.booked - self._book.invested

    @property
    def day_pnl(self) -> Decimal:
        """Since the UTC day began, or since the daemon first saw the account."""
        start = self._watch.day_start_equity
        return ZERO if start is None else self.equity - start

    @property
    def open_signals(self) -> int:
        """Signals that are not Idle, and room reserved for such."""
        return self._book.open_signals

    @property
    def reserved(self) -> tuple[int, Decimal]:
        """Approved orders that no fact tells of yet, and their notional."""
        return self._book.reserved

    def exposure(self, strategy: str, symbol: str) -> Exposure:
        """What the last fact said."""
        return self._book.exposure((strategy, symbol))

    def counts(self) -> Mapping[str, int]:
        """Admitted, denied, opened and closed since the start of the process."""
        return self._counts

    def limit_use(self) -> tuple[LimitUse, ...]:
        """Each limit by its name in the config; exposures and losses as ratios."""
        limits, book, equity = self._limits, self._book, self.equity
        watch, loss_limit = self._watch, None if self._loss_limit is None else self._loss_limit.ratio
        signals = (
            ("open_signals", book.open_signals, limits.open_signals),
            ("open_signals_per_strategy", book.largest_of_strategy(), limits.open_signals_per_strategy),
            ("orders_per_minute", self._orders_last_minute(self._now_ms), limits.orders_per_minute),
        )
        ratios = (
            ("gross_exposure", _ratio(book.notional, equity), limits.gross_exposure),
            ("symbol_exposure", _ratio(book.largest_notional_of_symbol(), equity), limits.symbol_exposure),
            ("daily_loss", _loss(watch.day_start_equity, equity), limits.daily_loss),
            ("drawdown", _loss(watch.peak_equity, equity), limits.drawdown),
            ("loss_limit", watch.loss_ratio(self._worth()), loss_limit),
        )
        counted = [
            LimitUse(name=name, used=Decimal(used), allowed=None if allowed is None else Decimal(allowed))
            for name, used, allowed in signals
        ]
        return (*counted, *(LimitUse(name=name, used=used, allowed=allowed) for name, used, allowed in ratios))

    # Trading state

    @property
    def trading_state(self) -> TradingState:
        """What is allowed at all."""
        return self._watch.state

    @property
    def state_reason(self) -> str:
        """Why it is not ACTIVE, or why it became so."""
        return self._watch.reason

    @property
    def flatten_wanted(self) -> bool:
        """The loss limit was reached and says to close everything; true until an operator lifts the halt."""
        return self._watch.flatten_wanted

    def evaluate(self, now_ms: int) -> StateChange | None:
        """Let the day roll, and let losses move the trading state; None if it stays.

        The new state holds at once; save `memory()` before it is announced.
        """
        self._now_ms = max(self._now_ms, now_ms)
        self.blocks.pass_time(now_ms)
        return None if self._base is None else self._watch.evaluate(now_ms, self._worth())

    def halt(self, reason: str) -> StateChange:
        """Nothing opens until `unhalt`, over any restart."""
        return self._watch.halt(reason)

    def unhalt(self, reason: str, now_ms: int) -> StateChange:
        """Back to ACTIVE.  Drawdown and loss limit count from here on; a daily loss still reduces until tomorrow.

        Raises:
            Rejected: it is not halted, or no reason is given.

        """
        return self._watch.unhalt(reason, now_ms, None if self._base is None else self._worth())

    def _worth(self) -> Worth:
        book = self._book
        return Worth(equity=self.equity, open_pnl=book.booked + book.unrealised, valued=book.valued)

    # Memory

    def memory(self) -> PortfolioMemory:
        """What must outlive the process."""
        return self._watch.memory(self.blocks)

    @property
    def dirty(self) -> bool:
        """Whether `memory()` differs from what was saved last."""
        return self.memory() != self._saved

    def saved(self, memory: PortfolioMemory) -> None:
        """This memory is durable."""
        self._saved = memory

    def restore(
        self,
        memory: PortfolioMemory | None,
        exposures: Mapping[Key, Exposure],
        closes: Iterable[SignalClosed] = (),
        carried: Mapping[Key, Carried] = MappingProxyType({}),
    ) -> None:
        """Begin from the remembered, what the state files expose and carry, and all signals that ever closed.

        `closes` are the ledger's and those still in an outbox, in any order, repeated or not; they are not counted
        again when a worker publishes its outbox.
        """
        remembered = memory or PortfolioMemory()
        self._saved = memory
        once = {(fact.strategy, fact.symbol, fact.sequence): fact for fact in closes}
        known = sorted(once.values(), key=_time_of)
        self._watch.restore(remembered, known)
        self.blocks.restore(remembered, known)
        for fact in known:
            key = (fact.strategy, fact.symbol)
            self._sequences[key] = max(fact.sequence, self._sequences.get(key, 0))
        for key, exposure in exposures.items():
            self._book.put(key, exposure, None)
        for key, each in carried.items():
            self._book.carry(key, each)
            self._files[key] = each.sequence


def _settles(fact: Fact, reservation: Reservation) -> bool:
    """Whether the fact's exposure tells what became of the reserved order, so that the room need not be kept apart."""
    if reservation.signal_id is not None:
        # a fact of the signal before may come after the admission of the next one
        return fact.signal_id == reservation.signal_id
    # An averaging order is admitted without a fact of its own: a fact of the same candle may not know of it yet.
    return fact.exposure.pending_notional > 0 or not isinstance(fact, StopMoved | TargetMoved | PositionReduced)


def _time_of(fact: Fact) -> tuple[int, str, str, int]:
    return fact.ts_ms, fact.strategy, fact.symbol, fact.sequence


def _ratio(amount: Decimal, equity: Decimal) -> Decimal:
    return amount / equity if equity > 0 else ZERO


def _loss(start: Decimal | None, equity: Decimal) -> Decimal:
    return ZERO if start is None or start <= 0 else max(ZERO, (start - equity) / start)
